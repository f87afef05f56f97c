"""The old model: frozen, shared where it can be, and never written to disk."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from cvis.segmenters import Memory, Output, Segmenter
from cvis.segmenters.base import Maps, QueryOutput
from cvis.types import Clip

Decode = Callable[[Segmenter, Memory], list[QueryOutput]]


@dataclass(frozen=True)
class OldView:
    """What the old model says of one batch. No gradients lead into it."""

    segmenter: Segmenter
    memory: Memory
    layers: tuple[QueryOutput, ...]  # all prediction layers, the last is the answer

    @property
    def classes(self) -> list[int]:
        """Data-set ids of the columns of its logits; the last column is no-object."""
        return self.segmenter.classes

    @cached_property
    def answer(self) -> Output:
        """The last layer with its masks, which only some methods need."""
        with torch.no_grad():
            return self.segmenter.with_masks(self.memory, self.layers[-1:])[0]


class Teacher(nn.Module):
    """A frozen copy of a segmenter, in eval mode whatever is around it.

    Make it in ``begin_task``, before the segmenter grows. It has no parameters and no state: what it copies is the
    state after the step before, which is on disk already, and from which a resumed run makes it again. A backbone
    that is frozen is not copied but shared, and so are its maps: what a batch costs twice is the part that learns.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.shares_backbone = segmenter.backbone_frozen
        shared = {id(segmenter.backbone): segmenter.backbone} if self.shares_backbone else {}
        frozen = copy.deepcopy(segmenter, shared)
        frozen.requires_grad_(False)
        frozen.eval()
        self._hidden = (frozen,)  # in a tuple, modules are not found by parameters(), state_dict() and train()

    @property
    def segmenter(self) -> Segmenter:
        return self._hidden[0]

    def _apply(self, fn: Callable, recurse: bool = True) -> Teacher:
        """``to(device)`` moves the copy too."""
        super()._apply(fn, recurse)
        self.segmenter._apply(fn, recurse)
        return self

    @torch.no_grad()
    def forward(self, clip: Clip, maps: Maps, decode: Decode | None = None) -> OldView:
        """Look at a batch once.

        Args:
            maps: what the student's backbone said of ``clip``; used if the backbone is shared.
            decode: how the method reads queries out of a segmenter; None: as any segmenter does.
        """
        if not self.shares_backbone:
            maps = self.segmenter.extract(clip.frames, clip.sizes)
        memory = self.segmenter.encode(maps)
        layers = decode(self.segmenter, memory) if decode else self.segmenter.decode_queries(memory)
        return OldView(self.segmenter, memory, tuple(layers))
