"""CRISP's initialisation of a step's prompts: principal directions of all queries learned before (Algorithm 1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from cvis.errors import UserError

Selection = Literal["top_variance", "reference_norm"]


@torch.no_grad()
def pca_queries(old: Tensor, num_prompts: int, selection: Selection = "top_variance") -> Tensor:
    """First values of a step's queries (CRISP, Algorithm 1).

    PCA of the old queries gives orthonormal directions; ``num_prompts`` of them, lengthened to the mean length
    of the old queries, become the new ones. The same input gives the same bits, however many threads there are.

    Args:
        old: [N, D], the base queries and those of every step since.
        num_prompts: how many to make; centred queries span at most min(N - 1, D) directions.
        selection: ``top_variance``: the directions of largest variance, which is what the paper argues for; each
            is signed so that its entry of largest magnitude is positive. ``reference_norm``: those of largest
            norm, times -1, as the released code does. Directions have norm 1, so that order is one of rounding
            errors, and may differ between machines; a direction's sign is arbitrary, so -1 is mere convention.

    Returns:
        [num_prompts, D], of the type and on the device of ``old``.

    Raises:
        UserError: fewer directions than prompts, or queries that are not finite.
    """
    from sklearn.decomposition import PCA  # with scipy.stats: a second, which only this needs

    directions = min(len(old) - 1, old.shape[1])
    if num_prompts > directions:
        raise UserError(
            f"learner.num_prompts: {num_prompts}: {len(old)} old queries of {old.shape[1]} channels have only "
            f"{directions} principal directions; use fewer prompts, or learner.pca_init=false"
        )
    queries = old.detach().cpu().double().numpy()
    if not np.isfinite(queries).all():
        raise UserError("learner.pca_init: the old queries are not finite: training diverged; lower its learning rate")
    with threadpool_limits(limits=1):  # with more threads LAPACK rounds otherwise
        components = PCA(n_components=min(queries.shape), svd_solver="full").fit(queries).components_
    lengths = np.linalg.norm(components, axis=1)
    scale = np.linalg.norm(queries, axis=1).mean() / lengths.mean()
    signed = components * _signs(components)
    if selection == "reference_norm":
        signed = -signed[np.argsort(-lengths, kind="stable")]
    return torch.from_numpy(scale * signed[:num_prompts]).to(old)


def _signs(directions: np.ndarray) -> np.ndarray:
    """[N, 1]: of the entry of largest magnitude in each row."""
    largest = np.abs(directions).argmax(axis=1)
    return np.sign(np.take_along_axis(directions, largest[:, None], axis=1))
