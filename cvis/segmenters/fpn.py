"""Feature pyramid network (Lin et al., CVPR 2017)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class FPN(nn.Module):
    """Every level learns what the coarser ones see.

    Args:
        in_channels: of the levels, fine to coarse.
        dim: channels of all maps that come out.
    """

    def __init__(self, in_channels: Sequence[int], dim: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, dim, 1) for channels in in_channels)
        self.outputs = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in in_channels)
        for conv in (*self.laterals, *self.outputs):
            nn.init.kaiming_uniform_(conv.get_parameter("weight"), a=1)
            nn.init.zeros_(conv.get_parameter("bias"))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """[N, C_i, h_i, w_i] -> [N, dim, h_i, w_i], fine to coarse."""
        merged = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        for coarse, fine in itertools.pairwise(range(len(merged) - 1, -1, -1)):
            merged[fine] = merged[fine] + F.interpolate(merged[coarse], merged[fine].shape[-2:])
        return [output(level) for output, level in zip(self.outputs, merged, strict=True)]
