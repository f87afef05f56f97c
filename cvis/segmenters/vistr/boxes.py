"""Boxes of masks, and how well two boxes agree."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_boxes(masks: Tensor) -> Tensor:
    """The tightest box around each mask: cx, cy, w, h as shares of width and height; zeros around nothing.

    Args:
        masks: [..., H, W] bool.

    Returns:
        [..., 4], single precision.
    """
    sides = []
    for axis in (-2, -1):  # what is left of it is x, then y
        line = masks.any(axis)
        place = torch.arange(line.shape[-1], device=masks.device)
        end = torch.where(line, place + 1, 0).amax(-1)
        start = torch.where(line, place, line.shape[-1]).amin(-1).minimum(end)
        sides.append(torch.stack((start, end), -1) / line.shape[-1])
    (left, right), (top, bottom) = (side.unbind(-1) for side in sides)
    return torch.stack(((left + right) / 2, (top + bottom) / 2, right - left, bottom - top), -1)


def giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al., CVPR 2019): |A n B| / |A u B| - |C - (A u B)| / |C|, C around both.

    Args:
        one, other: [..., 4] cx, cy, w, h; they broadcast.

    Returns:
        [...] in [-1, 1].
    """
    (low, high), (other_low, other_high) = _corners(one), _corners(other)
    shared = _area(torch.maximum(low, other_low), torch.minimum(high, other_high))
    union = (_area(low, high) + _area(other_low, other_high) - shared).clamp(min=1e-9)
    around = _area(torch.minimum(low, other_low), torch.maximum(high, other_high)).clamp(min=1e-9)
    return shared / union - (around - union) / around


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    centre, size = boxes.split(2, dim=-1)
    return centre - size / 2, centre + size / 2


def _area(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=0).prod(-1)
