"""Sampling masks at points (PointRend): the losses look at some thousand points of a mask instead of all pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of maps [N, C, h, w] at points [N, P, 2] (x and y in [0, 1], corner to corner): [N, C, P]."""
    return F.grid_sample(maps, 2 * points[:, :, None] - 1, align_corners=False).squeeze(3)


def pixel_centres(height: int, width: int) -> Tensor:
    """Where the pixels of a map lie, row by row: float64 [height * width, 2], x and y in (0, 1)."""
    rows, columns = (torch.arange(size, dtype=torch.float64).add(0.5).div(size) for size in (height, width))
    return torch.cartesian_prod(rows, columns).flip(-1)


@torch.no_grad()
def uncertain_points(
    masks: Tensor, num_points: int, oversample: float, importance: float, draw: Callable[[int], Tensor] | None = None
) -> Tensor:
    """Points where a mask is undecided, and some at random.

    Of ``oversample * num_points`` uniform points the ``importance * num_points`` with the logit nearest to
    zero are kept; the others are drawn anew, uniformly.

    Args:
        masks: [N, 1, h, w] logits.
        draw: so many uniform points for each mask: [N, number, 2].

    Returns:
        [N, num_points, 2], x and y in [0, 1].
    """
    draw = draw or (lambda number: torch.rand(len(masks), number, 2, device=masks.device, dtype=masks.dtype))
    num_uncertain = int(importance * num_points)
    candidates, random = draw(int(num_points * oversample)), draw(num_points - num_uncertain)
    if not len(masks):  # drawn all the same: other processes may have masks
        return candidates[:, :num_points]
    uncertainty = -sample(masks, candidates).squeeze(1).abs()
    chosen = uncertainty.topk(num_uncertain, dim=1).indices
    chosen = candidates.gather(1, chosen[..., None].expand(-1, -1, 2))
    return torch.cat([chosen, random], dim=1)
