"""Masks in closed form: what tells an object's pixels from those around it, in this video."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 3
"""Pixels of the mask features around an object that count as what is around it."""
RIDGE = 0.03
LEAST = 4
"""An object of fewer pixels stays as it is."""


def refitted(embeddings: Tensor, masks: Tensor, features: Iterable[Tensor], share: float) -> Tensor:
    """Mask embeddings moved towards the ridge regression of inside and around on the mask features.

    For a query e with the mask M = [logit > 0] over all frames and the ring R of pixels within :data:`REACH` of M in
    their frame, with features f and y = 1 in M, -1 in R,

        z = argmin mean_{i in M} (z . f_i - 1)^2 / 2 + mean_{i in R} (z . f_i + 1)^2 / 2 + ridge * tr(C) / D * |z|^2

    with C the second moment of f so weighted, and the answer is (1 - share) e + share |e| z / |z|: masks are inner
    products of e and f, so that is the mean of two masks. Nothing is trained; a query's answer depends on no other's.

    Args:
        embeddings: [n, D].
        masks: [n, T, h, w] logits.
        features: the mask features of the T frames, [t, D, h, w] at a time.
        share: 0 leaves everything as it is.

    Returns:
        [n, D].
    """
    inside = masks > 0
    near = F.max_pool2d(inside.float(), 2 * REACH + 1, 1, REACH) > 0
    count, dim = inside.flatten(1).sum(1), embeddings.shape[1]
    around = (near & ~inside).flatten(1).sum(1)
    weight = torch.stack([around.clamp(min=1), count.clamp(min=1)]).double().reciprocal() / 2
    moments = torch.zeros(len(embeddings), dim, dim, dtype=torch.float64, device=masks.device)
    towards = torch.zeros(len(embeddings), dim, dtype=torch.float64, device=masks.device)
    start = 0
    for window in features:
        pixels = window.permute(0, 2, 3, 1)  # [t, h, w, D]
        frames = slice(start, start := start + len(window))
        for row in (count >= LEAST).nonzero().flatten().tolist():
            there = near[row, frames]
            f, is_in = pixels[there].double(), inside[row, frames][there].long()
            weighted = f * weight[is_in, row][:, None]
            moments[row] += weighted.T @ f
            towards[row] += (2 * is_in - 1).double() @ weighted
    size = moments.diagonal(dim1=1, dim2=2).mean(1)
    moments.diagonal(dim1=1, dim2=2).add_((RIDGE * size)[:, None].where(size[:, None] > 0, 1))
    z = torch.linalg.solve(moments, towards).to(embeddings)
    length = z.norm(dim=1, keepdim=True)
    z = z * (embeddings.norm(dim=1, keepdim=True) / length.where(length > 0, 1))
    return torch.where(length > 0, (1 - share) * embeddings + share * z, embeddings)
