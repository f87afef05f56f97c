"""The feature pyramid (Lin et al., CVPR 2017), and the mask branch that reads its fine levels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from cvis.segmenters.crossvis.layers import block, enlarged, norm_of


class Pyramid(nn.Module):
    """A level for each of the backbone's, then ``extra`` coarser ones: each a convolution of stride 2 of the last.

    Args:
        in_channels: of the backbone's levels, fine to coarse.
        dim: channels of every level of the pyramid.
        extra: levels above the backbone's (P6 and P7).
    """

    def __init__(self, in_channels: Sequence[int], dim: int, extra: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, dim, 1) for channels in in_channels)
        self.outputs = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in in_channels)
        self.extras = nn.ModuleList(nn.Conv2d(dim, dim, 3, stride=2, padding=1) for _ in range(extra))
        for conv in (*self.laterals, *self.outputs, *self.extras):
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """[F, C_i, h_i, w_i] -> [F, D, h_i, w_i], fine to coarse."""
        merged = [lateral(level) for lateral, level in zip(self.laterals, maps, strict=True)]
        for coarse, fine in itertools.pairwise(range(len(merged) - 1, -1, -1)):
            merged[fine] = merged[fine] + F.interpolate(merged[coarse], merged[fine].shape[-2:])
        levels = [output(level) for output, level in zip(self.outputs, merged, strict=True)]
        for index, extra in enumerate(self.extras):
            levels.append(extra(F.relu(levels[-1]) if index else levels[-1]))
        return levels


class MaskBranch(nn.Module):
    """CondInst's: fine levels, summed at the size of the finest, then ``convs`` convolutions.

    Args:
        dim: channels of the pyramid.
        width: of the branch.
        channels: of its answer.
        levels: how many of the pyramid's finest it reads.
        norm: ``BN`` (with the statistics of its checkpoint) or ``GN`` of ``norm_groups``.
    """

    def __init__(
        self,
        dim: int,
        width: int = 128,
        channels: int = 8,
        levels: int = 3,
        convs: int = 4,
        norm: str = "BN",
        norm_groups: int = 32,
    ) -> None:
        super().__init__()
        kind = norm_of(norm, norm_groups)
        self.channels = channels
        self.refine = nn.ModuleList(block(dim, width, kind, bias=False) for _ in range(levels))
        self.tower = nn.Sequential(*(block(width, width, kind, bias=False) for _ in range(convs)))
        self.answer = nn.Conv2d(width, channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
        nn.init.zeros_(self.answer.get_parameter("bias"))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """[F, channels, h, w], at the size of the finest level."""
        height = levels[0].shape[-2]
        refined = [refine(level) for refine, level in zip(self.refine, levels, strict=False)]
        return self.answer(self.tower(sum(enlarged(level, height // level.shape[-2]) for level in refined)))
