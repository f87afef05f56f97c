"""Feature pyramid network (Lin et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class FPN(nn.Module):
    """Every level learns what the coarser ones see. Parts are called as mmdet calls them, so that its weights load.

    Args:
        in_channels: of the levels, fine to coarse.
        dim: channels of all maps that come out.
    """

    def __init__(self, in_channels: Sequence[int], dim: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(_named(nn.Conv2d(channels, dim, 1)) for channels in in_channels)
        self.fpn_convs = nn.ModuleList(_named(nn.Conv2d(dim, dim, 3, padding=1)) for _ in in_channels)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """[N, C_i, h_i, w_i] -> [N, dim, h_i, w_i], fine to coarse."""
        maps = [lateral(level) for lateral, level in zip(self.lateral_convs, levels, strict=True)]
        for finer, coarser in zip(range(len(maps) - 2, -1, -1), range(len(maps) - 1, 0, -1), strict=True):
            maps[finer] = maps[finer] + F.interpolate(maps[coarser], maps[finer].shape[-2:], mode="nearest")
        return [conv(level) for conv, level in zip(self.fpn_convs, maps, strict=True)]


def _named(conv: nn.Conv2d) -> nn.Sequential:
    nn.init.xavier_uniform_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    named = nn.Sequential()
    named.add_module("conv", conv)
    return named
