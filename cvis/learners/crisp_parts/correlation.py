"""CRISP's instance-correlation loss: queries shall be as alike, or as different, as those of the base task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.errors import UserError

Target = Literal["first_block", "identity"]
SHORTEST = 1e-6
"""A vector with no entry as large as this points nowhere: its cosines fade to 0, which keeps gradients finite."""


def correlation_loss(layers: Sequence[Tensor], target: Tensor) -> Tensor:
    """Sum over layers of the mean squared error between cosine matrix and target (CRISP, equation 6).

    Args:
        layers: [B, N, D] each: the queries X_0 and the decoder's states X_1, ..., X_L after each of its layers,
            before the norm that predictions are made from.
        target: [N, N], see :func:`correlation_target`; no gradient reaches it.

    Returns:
        A scalar in float32, also under autocast.

    >>> queries = torch.tensor([[[3.0, 0.0], [0.0, 2.0]]])
    >>> float(correlation_loss([queries], torch.eye(2)))
    0.0
    >>> float(correlation_loss([queries, queries], torch.ones(2, 2)))  # two of four entries are wrong by 1, twice
    1.0
    """
    target = target.detach()
    return torch.stack([(cosines(layer) - target).square().mean() for layer in layers]).sum()


@torch.no_grad()
def correlation_target(base: Tensor, num_prompts: int, kind: Target = "first_block") -> Tensor:
    """What the cosines of a step's queries are pulled towards.

    Equation 6 names the cosine matrix of the base queries, which has more rows than there are prompts.

    Args:
        base: [N, D], the base queries.
        num_prompts: N_p, of the step.
        kind: ``first_block``: the base queries' matrix cut to its first N_p rows and columns, as the released
            code does (an arbitrary choice: queries have no order). ``identity``: queries shall be orthogonal, the
            form of equation 4; it needs no base queries. A matching of prompts to base queries, or the mean
            cosine of all pairs, would also be possible readings; neither is offered.

    Returns:
        [N_p, N_p] in float32.

    Raises:
        UserError: fewer base queries than prompts.
    """
    if kind == "identity":
        return torch.eye(num_prompts, device=base.device)
    if num_prompts > len(base):
        raise UserError(
            f"learner.ic_target: 'first_block': {num_prompts} prompts need as many base queries, there are "
            f"{len(base)}; use fewer prompts (learner.num_prompts), or learner.ic_target=identity"
        )
    return cosines(base[:num_prompts])


def cosines(vectors: Tensor) -> Tensor:
    """Cosine of every pair: [..., N, D] -> [..., N, N] in float32. A zero vector has cosine 0 with all."""
    with torch.autocast(vectors.device.type, enabled=False):
        wide = vectors.float()
        largest = wide.detach().abs().amax(-1, keepdim=True)  # of no effect on a cosine, but squares do not overflow
        unit = F.normalize(wide / largest.clamp_min(SHORTEST), dim=-1, eps=0.5)  # scaled, a vector has length >= 1
        return unit @ unit.mT
