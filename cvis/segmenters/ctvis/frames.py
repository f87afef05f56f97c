"""A clip as the frames it is made of: memory and targets with clips x frames on the batch axis and T = 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cvis.segmenters.heads import mlp
from cvis.segmenters.mask2former.decoder import Decoder
from cvis.segmenters.openmmlab import SinePositionalEncoding
from cvis.segmenters.outputs import Memory
from cvis.segmenters.shared_batch import most_of_all
from cvis.types import NO_OBJECT, Targets


class FrameDecoder(Decoder):
    """Mask2Former's decoder of images, with CTVIS's head beside it.

    The position code is that of height and width, without time; ``embedding_head`` is a perceptron of three layers that
    makes of a query [..., D] the embedding by which its object is known again. Arguments as of :class:`Decoder`.
    """

    def __init__(self, dim: int = 256, layers: int = 9, heads: int = 8, feedforward: int = 2048, levels: int = 3):
        super().__init__(dim, layers, heads, feedforward, levels)
        self.position_encoding = FramePositions(dim)
        self.embedding_head = mlp(dim, dim, dim)
        for parameter in self.embedding_head.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)


class FramePositions(nn.Module):
    """Sines of height and width, D/2 channels each."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.sines = SinePositionalEncoding(num_feats=dim // 2, normalize=True)

    def forward(self, ignored: Tensor) -> Tensor:
        """[1, 1, h, w] bool -> [1, 1, D, h, w]."""
        return self.sines(ignored[:, 0])[:, None]


def memory_by_frame(memory: Memory) -> Memory:
    """[B, T, ...] -> [B * T, 1, ...]."""
    levels, features = memory.levels, memory.mask_features
    return Memory(tuple(level.flatten(0, 1)[:, None] for level in levels), features.flatten(0, 1)[:, None], memory.size)


def visibility(target: Targets) -> Tensor:
    """In which frames of its clip each target is one: [N, T] bool; in all of them if it stands for no object."""
    return target.masks.flatten(2).any(-1) | (target.category_ids == NO_OBJECT)[:, None]


def targets_by_frame(targets: Sequence[Targets]) -> list[Targets]:
    """Of each frame the targets that are visible in it, in their order: clips x frames of [n, 1, H, W]."""
    frames = []
    for target in targets:
        for time, seen in enumerate(visibility(target).unbind(1)):
            frames.append(Targets(target.category_ids[seen], target.masks[seen, time : time + 1]))
    return frames


def queries_of(matched: Tensor, targets: Sequence[Targets]) -> Tensor:
    """Which query has each object of a class in each frame: [B, N, T] int64, N the most of a clip, in all
    processes; -1: none has.

    Args:
        matched: [G] int64, the query of each target of :func:`targets_by_frame`, one after the other; -1: none.
        targets: of B clips of T frames.
    """
    most = most_of_all(max(len(target.category_ids) for target in targets))
    found = matched.new_full((len(targets), most, targets[0].masks.shape[1]), -1)
    start = 0
    for clip, target in zip(found, targets, strict=True):
        seen = visibility(target)
        of_clip = torch.full_like(seen.T, -1, dtype=matched.dtype)
        of_clip[seen.T] = matched[start : start + int(seen.sum())]
        start += int(seen.sum())
        clip[: len(seen)] = of_clip.T.masked_fill((target.category_ids == NO_OBJECT)[:, None], -1)
    return found
