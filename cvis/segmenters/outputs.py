"""What passes between the parts of a model: maps of the backbone, memory of what comes before the heads, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from cvis.errors import UserError


@dataclass(frozen=True)
class Maps:
    """What a backbone says of B clips of T frames; models with the same frozen backbone can share it."""

    levels: tuple[Tensor, ...]  # each [B * T, C_i, h_i, w_i], fine to coarse
    length: int  # T
    size: tuple[int, int]  # height and width of the padded frames in pixels


@dataclass(frozen=True)
class Memory:
    """What the heads, or the queries, read of B videos of T frames."""

    levels: tuple[Tensor, ...]  # each [B, T, D, h_i, w_i], coarse to fine
    mask_features: Tensor  # [B, T, D, h, w]; behind them, for groups with ``fine_masks``, the backbone's finest map
    size: tuple[int, int]  # height and width of the padded frames in pixels
    backbone: tuple[Tensor, ...] = field(default=(), kw_only=True)  # its maps [B, T, C_i, h_i, w_i], if asked for

    def windows(self, frames: int) -> Iterator[Memory]:
        """So many frames at a time."""
        for start in range(0, self.mask_features.shape[1], frames):
            now = slice(start, start + frames)
            levels, backbone = (tuple(each[:, now] for each in maps) for maps in (self.levels, self.backbone))
            yield Memory(levels, self.mask_features[:, now], self.size, backbone=backbone)

    @staticmethod
    def joined(windows: Sequence[Memory]) -> Memory:
        """One behind the other."""
        levels, backbone = (joined_maps([getattr(w, name) for w in windows]) for name in ("levels", "backbone"))
        return Memory(levels, torch.cat([w.mask_features for w in windows], dim=1), windows[0].size, backbone=backbone)


def joined_maps(windows: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """Of maps [B, t, ...] of several windows, each over all of them."""
    return tuple(torch.cat(maps, dim=1) for maps in zip(*windows, strict=True))


class Residual(NamedTuple):
    """What is added to the values of self-attention, the same in every decoder layer."""

    prompts: Tensor  # [N, D], one for each query
    projected: bool = False  # added to what the value projection has made, not to what it reads


@dataclass(frozen=True)
class SlotOutput:
    """A prediction layer of a model that tells classes apart in N slots, which are queries, locations or pixels.

    B counts clips; of a model whose slots belong to a frame it may count clips x frames.
    """

    logits: Tensor  # [B, N, C], in the order of cvis.segmenters.background
    features: Tensor  # [B, N, D], what the class heads read


@dataclass(frozen=True)
class QueryOutput(SlotOutput):
    """Of Q queries, without their masks, which are the large part; where queries belong to a frame, T is 1."""

    mask_embeddings: Tensor  # [B, Q, D or more]; a mask logit is its inner product with as much of a mask feature
    state: Tensor  # [B, Q, D], before the decoder's last norm: what the next decoder layer reads

    @property
    def queries(self) -> Tensor:
        """[B, Q, D], after that norm: the ``features`` of a query."""
        return self.features


@dataclass(frozen=True)
class Output(QueryOutput):
    """One prediction layer."""

    masks: Tensor  # [B, Q, T, h, w] logits


@dataclass(frozen=True)
class Answers:
    """What queries answer for one video; each instance has a list of the best tracks of its own."""

    scores: Tensor  # [Q, K], -inf: this query does not answer with this class
    mask_embeddings: Tensor  # [Q, D or more]
    queries: Tensor | None = None  # [Q, D], by which frames or windows of a video are put together
    groups: tuple[int, ...] = ()  # how many of the Q belong to each group of queries; (): all to one

    @property
    def group_of(self) -> Tensor:
        """Index of the group of each of the queries [Q]."""
        sizes = torch.tensor(self.groups or (len(self.mask_embeddings),))
        return torch.arange(len(sizes)).repeat_interleave(sizes).to(self.mask_embeddings.device)


class ProposedTracks(NamedTuple):
    """N tracks that a model sees in one clip: what pseudo-labels are made of."""

    probabilities: Tensor  # [N, K], of the classes alone
    masks: Tensor  # [N, T, H, W] probabilities, at the size of the clip


Draw = Callable[[Tensor, Tensor, tuple[int, int], Tensor], Tensor]
"""Mask logits [n, t, h, w], the frames uint8 [t, 3, H, W], their size with padding, of which h and w are a part, and
which group of queries each mask is of [n] -> logits [n, t, H, W]."""

PREDICTION_LAYERS = ("all", "first_last", "last")
T = TypeVar("T")


def select_layers(layers: Sequence[T], which: str) -> list[T]:
    """``all`` prediction layers (before the first decoder layer and after each), ``first_last``, or ``last``.

    >>> select_layers("abcd", "first_last")
    ['a', 'd']

    Raises:
        UserError: ``which`` is none of them.
    """
    if which not in PREDICTION_LAYERS:
        raise UserError(f"prediction layers: {which!r}: unknown; use one of {', '.join(PREDICTION_LAYERS)}")
    return list(layers) if which == "all" else [*layers[:1], layers[-1]][-1 if which == "last" else 0 :]
