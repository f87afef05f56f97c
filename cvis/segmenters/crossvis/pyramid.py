"""The feature pyramid with levels above it, and the mask branch that reads its fine levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from cvis.segmenters.crossvis.layers import block, enlarged, norm_of
from cvis.segmenters.fpn import FPN


class Pyramid(FPN):
    """With ``extra`` levels above the backbone's (P6 and P7), each a convolution of stride 2 of the one before.

    Args:
        in_channels, dim: of :class:`~cvis.segmenters.fpn.FPN`.
    """

    def __init__(self, in_channels: Sequence[int], dim: int, extra: int) -> None:
        super().__init__(in_channels, dim)
        self.extras = nn.ModuleList(nn.Conv2d(dim, dim, 3, stride=2, padding=1) for _ in range(extra))
        for conv in self.extras:
            nn.init.kaiming_uniform_(conv.get_parameter("weight"), a=1)
            nn.init.zeros_(conv.get_parameter("bias"))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """[F, C_i, h_i, w_i] -> [F, dim, h_i, w_i], fine to coarse."""
        answers = super().forward(levels)
        for index, extra in enumerate(self.extras):
            answers.append(extra(F.relu(answers[-1]) if index else answers[-1]))
        return answers


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
