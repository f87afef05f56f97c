"""The space-time pyramid: coarse maps are squeezed in time, then all are expanded and combined into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.st_pyramid.attention import CBAM3D

Norm = Literal["BN", "GN"]


def squeeze(incoming: int, outgoing: int, norm: Norm, halve: bool = True) -> nn.Sequential:
    """Conv3d 3x3x3, norm, ReLU, and an average pool that halves the time (rounded up)."""
    blocks: list[nn.Module] = [
        nn.Conv3d(incoming, outgoing, 3, padding=1, bias=False),
        nn.BatchNorm3d(outgoing) if norm == "BN" else nn.GroupNorm(8, outgoing),
        nn.ReLU(),
    ]
    return nn.Sequential(*blocks, HalveTime()) if halve else nn.Sequential(*blocks)


class HalveTime(nn.Module):
    """The average pool 3x1x1 of stride 2. At a border it is a mean over two frames, not over two and a zero."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, T, h, w] -> [B, C, ceil(T / 2), h, w]; torch's own pool in three dimensions takes no single frame."""
        flat = F.avg_pool2d(features.flatten(3), (3, 1), (2, 1), (1, 0), count_include_pad=False)
        return flat.unflatten(3, features.shape[3:])


class SpaceTimePyramid(nn.Module):
    """Encoder and decoder between the spatial pyramid and the heads.

    Args:
        incoming: channels of the spatial pyramid.
        widths: channels of each scale, coarse to fine.
        squeezes: how often each of them halves the time; one without still has the convolution.
        norm: ``BN`` as published; ``GN`` (8 groups) for batches of a few clips.
        reduction: see :class:`CBAM3D`.
        attention: without it, what the paper's attention adds can be told.
    """

    def __init__(
        self,
        incoming: int,
        widths: Sequence[int] = (256, 256, 128, 128),
        squeezes: Sequence[int] = (2, 2, 1, 0),
        norm: Norm = "BN",
        reduction: int = 16,
        attention: bool = True,
    ) -> None:
        super().__init__()
        if len(widths) != len(squeezes):
            raise UserError(f"segmenter.pyramid.squeezes: {squeezes}: must be {len(widths)} numbers, as widths are")
        if norm not in ("BN", "GN"):
            raise UserError(f"segmenter.pyramid.norm: {norm!r}: unknown; use BN or GN")
        self.width = widths[-1]
        self.encoders, self.combine = nn.ModuleList(), nn.ModuleList()
        for index, (width, times) in enumerate(zip(widths, squeezes, strict=True)):
            blocks = [squeeze(width if step else incoming, width, norm, times > 0) for step in range(max(1, times))]
            self.encoders.append(nn.Sequential(*blocks, CBAM3D(width, reduction) if attention else nn.Identity()))
            if index:
                self.combine.append(nn.Conv3d(widths[index - 1] + width, width, 1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[B, C, T, h_i, w_i], fine to coarse -> [B, widths[-1], T, h, w] of the finest."""
        scales = [encoder(level) for encoder, level in zip(self.encoders, reversed(maps), strict=True)]
        answer = scales[0]
        for combine, scale in zip(self.combine, scales[1:], strict=True):
            expanded = F.interpolate(answer, scale.shape[2:], mode="trilinear", align_corners=False)
            answer = combine(torch.cat([expanded, scale], dim=1))
        return answer
