"""What frozen maps say of a track, frame by frame: a vector, made from the maps and the track's masks alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.learners.analytic.motion import MOTION, motion_of

Statistic = Literal["mean", "deviation", "parts", "shape", "motion"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
PARTS, SHAPE = 4, 8
"""Cells along each side of the box, of the maps and of the mask."""


def lengths_of(channels: Sequence[int], statistics: Sequence[Statistic]) -> list[int]:
    """Of each statistic's part of :func:`describe`'s vectors, for maps of so many channels.

    >>> lengths_of([64, 64], ["mean", "shape"])
    [128, 64]
    """
    pooled, parts = sum(channels), PARTS**2 * channels[-1]
    each = {"mean": pooled, "deviation": pooled, "parts": parts, "shape": SHAPE**2, "motion": MOTION}
    return [each[statistic] for statistic in statistics]


def describe(
    maps: Sequence[Tensor], masks: Tensor, statistics: Sequence[Statistic], every: Tensor | None = None
) -> Tensor:
    """Descriptions of N tracks in T frames, each of the frame's maps alone; only motion is of all of them.

    With m the track's mask at the size of map f, and means weighted by m:

    - ``mean``: mean_m f of every channel of every map;
    - ``deviation``: (mean_m f^2 - (mean_m f)^2)^(1/2), which knows textures that the mean does not;
    - ``parts``: of the last map, f * m on 4 x 4 cells of the mask's box, which knows what lies where;
    - ``shape``: m on 8 x 8 cells of that box;
    - ``motion``: how the masks move and grow, the same in every frame, see :func:`motion_of`.

    Args:
        maps: each [T, C_i, h_i, w_i], none finer than the last.
        masks: [N, T, h, w] in [0, 1], at the size of the last map: which share of a pixel is the track's.
        statistics: what the vectors are made of, in this order.
        every: the masks of all frames, for the motion, if T are only some of them: [N, .., h, w].

    Returns:
        [N, T, F] single precision; zeros where a mask is empty.
    """
    with torch.autocast(masks.device.type, enabled=False):
        maps, masks = [each.float() for each in maps], masks.float()
        made: dict[str, Tensor] = {}
        if {"mean", "deviation"} & set(statistics):
            moments = [_moments(each, masks) for each in maps]
            made["mean"], made["deviation"] = (torch.cat(parts, -1) for parts in zip(*moments, strict=True))
        if {"parts", "shape"} & set(statistics):
            made["parts"], made["shape"] = _cells(maps[-1], masks)
        if "motion" in statistics:
            made["motion"] = motion_of(masks if every is None else every.float())[:, None].expand(
                -1, masks.shape[1], -1
            )
        described = torch.cat([made[statistic] for statistic in statistics], -1)
        return described * (masks.amax((-2, -1)) > 0)[..., None]


def _moments(features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation [N, T, C] inside the masks, which are brought to the size of the features [T, C, h, w]."""
    weights = F.interpolate(masks, features.shape[-2:], mode="area").flatten(2).transpose(0, 1)  # [T, N, hw]
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    pixels = features.flatten(2).transpose(1, 2)  # [T, hw, C]
    shift = pixels.mean(1, keepdim=True)  # squares of large numbers would leave no digits to their difference
    mean = weights @ (pixels - shift)
    variance = weights @ (pixels - shift).square() - mean.square()
    return (mean + shift).transpose(0, 1), variance.clamp(min=0).sqrt().transpose(0, 1)


def _cells(features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """``parts`` [N, T, 16 C] of the features [T, C, h, w], and ``shape`` [N, T, 64]."""
    from torchvision.ops import roi_align  # with it comes torch._dynamo, which takes longer to load than torch

    boxes = boxes_of(masks).flatten(0, 1)
    frame = torch.arange(masks.shape[1], device=masks.device).repeat(len(masks))[:, None]
    pixel = torch.arange(len(boxes), device=masks.device)[:, None]
    flat = masks.flatten(0, 1)[:, None]

    def cells(values: Tensor, of: Tensor, size: int) -> Tensor:
        return roi_align(values, torch.cat([of.to(boxes), boxes], 1), size, sampling_ratio=2, aligned=True)

    parts = cells(features, frame, PARTS) * cells(flat, pixel, PARTS)
    return parts.flatten(1).unflatten(0, masks.shape[:2]), cells(flat, pixel, SHAPE).flatten(1).unflatten(
        0, masks.shape[:2]
    )


def boxes_of(masks: Tensor) -> Tensor:
    """Left, top, right and bottom [..., 4] of what is not zero in masks [..., h, w]; zeros of an empty one.

    >>> mask = torch.zeros(4, 6)
    >>> mask[1:3, 2:5] = 1
    >>> boxes_of(mask).tolist()
    [2.0, 1.0, 5.0, 3.0]
    """
    sides = []
    for there in (masks.amax(-2) > 0, masks.amax(-1) > 0):  # columns, rows
        place = torch.arange(there.shape[-1], device=masks.device)
        first = place.where(there, there.shape[-1]).amin(-1)
        last = (place + 1).where(there, 0).amax(-1)
        sides.append((first.minimum(last), last))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], -1).to(masks.dtype)
