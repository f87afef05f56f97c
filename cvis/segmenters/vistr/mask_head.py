"""VisTR's mask head: where each query looks in its frame, refined by the backbone's maps, then over time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.openmmlab import DeformConv2d, has_real_ops
from cvis.segmenters.vistr.outputs import ClipMemory


class MaskHead(nn.Module):
    """Attention maps of a query in its frame beside that frame's memory, a convolutional pyramid, 3D convolutions.

    Args:
        dim: of queries and memory.
        skips: channels of the backbone's finer levels, coarse to fine.
        heads: attention maps of each query.
        widths: channels at each level, the memory's first; one more than ``skips``.
        clip_width: channels of the three 3D convolutions.
        deformable: the last 2D convolution is a deformable one, as published; it needs mmcv's compiled operators.

    Raises:
        UserError: ``deformable`` without these operators.
    """

    def __init__(
        self,
        dim: int,
        skips: Sequence[int],
        heads: int = 8,
        widths: Sequence[int] = (192, 96, 48, 24),
        clip_width: int = 12,
        deformable: bool = False,
    ) -> None:
        super().__init__()
        if len(widths) != len(skips) + 1:
            raise ValueError(f"mask_head.widths: {tuple(widths)}: must be {len(skips) + 1} numbers, one for each level")
        self.heads = heads
        self.q_linear, self.k_linear = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.first = nn.Conv2d(dim + heads, dim + heads, 3, padding=1)
        self.first_norm = _norm(dim + heads)
        self.second = _block(nn.Conv2d(dim + heads, widths[0], 3, padding=1))
        self.adapters = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in zip(skips, widths, strict=False))
        pairs = list(itertools.pairwise(widths))
        self.blocks = nn.ModuleList(_block(nn.Conv2d(*pair, 3, padding=1)) for pair in pairs)
        if deformable:
            self.blocks[-1] = _block(DeformableConv(*pairs[-1]))
        clip = [widths[-1], clip_width, clip_width, clip_width]
        self.over_time = nn.Sequential(
            *(_block(nn.Conv3d(*pair, 3, padding=2, dilation=2), 4) for pair in itertools.pairwise(clip)),
            nn.Conv3d(clip_width, 1, 1),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.get_parameter("bias"))
        for module in self.modules():
            if isinstance(module, DeformableConv):  # which begins as a plain one
                nn.init.zeros_(module.offset.weight)

    def forward(self, memory: ClipMemory, queries: Tensor, clip: Tensor) -> Tensor:
        """Mask logits of M slots, at the size of the memory's mask features; no slot's depend on another's.

        Args:
            memory: of B clips.
            queries: [M, T, D].
            clip: [M] int64, of which clip each slot is.

        Returns:
            [M, T, h, w].
        """
        coarse = memory.levels[0]
        maps = self.attention_maps(queries, coarse, memory.valid, clip)
        # the convolution of memory beside maps is a sum of two, and that of the memory is the same for every slot
        dim = coarse.shape[2]
        of_memory = F.conv2d(coarse.flatten(0, 1), self.first.weight[:, :dim], self.first.bias, padding=1)
        of_maps = F.conv2d(maps.flatten(0, 1), self.first.weight[:, dim:], padding=1)
        frames = queries.shape[1]
        x = self.second(F.relu(self.first_norm(of_maps + _of_slots(of_memory, frames, clip))))
        for level, adapter, block in zip(
            (*memory.levels[1:], memory.mask_features), self.adapters, self.blocks, strict=True
        ):
            skip = adapter(level.flatten(0, 1))
            x = block(F.interpolate(x, skip.shape[-2:]) + _of_slots(skip, frames, clip))
        return self.over_time(x.unflatten(0, (-1, frames)).transpose(1, 2)).squeeze(1)

    def attention_maps(self, queries: Tensor, memory: Tensor, valid: Tensor, clip: Tensor) -> Tensor:
        """softmax(q . k / sqrt(d)) over the places of a query's frame, times their number: [M, T, heads, h, w].

        One where a head looks everywhere alike: as they are, the maps of a frame of a hundred places would be drowned
        by the memory beside them.

        Args:
            queries: [M, T, D].
            memory: [B, T, D, h, w].
            valid: [B, T*h*w] bool; what is padding is not looked at.
            clip: [M].
        """
        query = self.q_linear(queries).unflatten(-1, (self.heads, -1))
        key = self.k_linear(memory.flatten(3).transpose(2, 3)).unflatten(-1, (self.heads, -1)).index_select(0, clip)
        scores = torch.einsum("mthc,mtkhc->mthk", query, key) / math.sqrt(query.shape[-1])
        places = valid[clip].view(*queries.shape[:2], 1, -1)
        maps = scores.masked_fill(~places, -torch.inf).softmax(-1) * places.sum(-1, keepdim=True)
        return maps.unflatten(-1, memory.shape[-2:])


class DeformableConv(nn.Module):
    """A 3x3 deformable convolution (Dai et al., ICCV 2017) whose offsets are a convolution of what it reads.

    Raises:
        UserError: mmcv's compiled operators are not installed.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        if not has_real_ops():
            raise UserError(
                "segmenter.mask_head.deformable: True: mmcv's compiled operators are not installed; build mmcv with "
                "MMCV_WITH_OPS=1, or leave it False: a plain convolution takes its place"
            )
        self.out_channels = outgoing
        self.offset = nn.Conv2d(incoming, 2 * 9, 3, padding=1)
        self.conv = DeformConv2d(incoming, outgoing, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.offset(x))


def _of_slots(maps: Tensor, frames: int, clip: Tensor) -> Tensor:
    """Of B * T maps those of the M slots' frames: [M * T, ...]."""
    return maps.unflatten(0, (-1, frames)).index_select(0, clip).flatten(0, 1)


def _norm(channels: int, groups: int = 8) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(groups, channels), channels)


def _block(conv: nn.Conv2d | nn.Conv3d | DeformableConv, groups: int = 8) -> nn.Sequential:
    return nn.Sequential(conv, _norm(conv.out_channels, groups), nn.ReLU(inplace=True))
