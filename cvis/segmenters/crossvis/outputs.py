"""What CrossVIS says of a batch of frames: an answer for every location of its pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cvis.segmenters.outputs import SlotOutput


@dataclass(frozen=True)
class Grid:
    """The N locations of a frame, level by level, fine to coarse, row by row."""

    points: Tensor  # [N, 2] x and y, pixels
    stride: Tensor  # [N] of the level, pixels
    interest: Tensor  # [N] size of interest of the level, pixels
    lower: Tensor  # [N] the level answers for objects whose longest side from the point, of l, t, r, b, is more than
    upper: Tensor  # [N] this, and at most that: the size of interest, but for the coarsest level

    @classmethod
    def of(cls, levels: Sequence[Tensor], strides: Sequence[int], interest: Sequence[float]) -> Grid:
        """Of maps [..., h, w]."""
        sizes = [level.shape[-2] * level.shape[-1] for level in levels]

        def each(values: Sequence[float]) -> Tensor:
            of_levels = zip(sizes, values, strict=True)
            return torch.cat([torch.full((size,), float(value), device=levels[0].device) for size, value in of_levels])

        points = [centres(level, stride) for level, stride in zip(levels, strides, strict=True)]
        lower, upper = [-1, *interest[:-1]], [*interest[:-1], torch.inf]
        return cls(torch.cat(points), each(strides), each(interest), each(lower), each(upper))


@dataclass(frozen=True)
class Locations(SlotOutput):
    """Of the N locations of each of F frames (B clips of T): class, box, and what mask and identity are made of.

    A slot of a clip is a location of one of its frames, frame by frame.
    """

    sides: Tensor  # [F, N, 4] l, t, r, b: from the point to the sides of its box, in strides
    centreness: Tensor  # [F, N] logits
    filters: Tensor  # [F, N, P] of the dynamic mask head
    embeddings: Tensor  # [F, N, D]
    mask_features: Tensor  # [F, C, h, w]
    grid: Grid
    frames: int  # T


def centres(level: Tensor, stride: int) -> Tensor:
    """x and y in pixels of the cells of a map [..., h, w], row by row: [h * w, 2]; as CondInst, stride // 2 inside."""
    height, width = level.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(n, device=level.device) for n in (height, width)), indexing="ij")
    return torch.stack((x, y), -1).flatten(0, 1).float() * stride + stride // 2
