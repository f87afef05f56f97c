"""The blocks that CrossVIS's pyramid, towers and branches are made of."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cvis.errors import UserError

Norm = Callable[[int], nn.Module]


class StillBatchNorm(nn.BatchNorm2d):
    """Its statistics are the checkpoint's, also in training: no clip changes another, and processes stay alike."""

    def train(self, mode: bool = True) -> StillBatchNorm:
        super().train(False)
        return self


def norm_of(kind: str, groups: int) -> Norm:
    """``GN`` of at most so many groups, or ``BN`` whose statistics do not change.

    Raises:
        UserError: it is neither.
    """
    if kind not in ("GN", "BN"):
        raise UserError(f"segmenter.mask_branch.norm: {kind!r}: unknown; use GN or BN")
    return StillBatchNorm if kind == "BN" else lambda channels: nn.GroupNorm(math.gcd(groups, channels), channels)


def block(incoming: int, outgoing: int, norm: Norm, bias: bool = True) -> nn.Sequential:
    """A 3x3 convolution, norm, ReLU."""
    conv = nn.Conv2d(incoming, outgoing, 3, padding=1, bias=bias)
    return nn.Sequential(conv, norm(outgoing), nn.ReLU(inplace=True))


def enlarged(maps: Tensor, factor: int) -> Tensor:
    """[..., h, w] -> [..., f h, f w], linear between the centres of the coarse pixels.

    CondInst has a coarse pixel's centre at f i + f // 2 (:meth:`Grid.of`), so fine pixel j shows (j - f // 2) / f.
    """
    if factor == 1:
        return maps
    rows, columns = (_shares(length, factor).to(maps) for length in maps.shape[-2:])
    return rows @ maps @ columns.T


def _shares(length: int, factor: int) -> Tensor:
    """How much of each coarse pixel each fine one has: [f n, n]."""
    at = ((torch.arange(length * factor) - factor // 2) / factor).clamp(0, length - 1)
    return (1 - (at[:, None] - torch.arange(length)).abs()).clamp(min=0)
