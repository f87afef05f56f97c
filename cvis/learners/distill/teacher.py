"""The old model: frozen, shared where it can be, and never written to disk."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from cvis.segmenters import Segmenter
from cvis.segmenters.contract import AlignedQueries, ClassSlots, ClipTracks
from cvis.segmenters.outputs import Maps, Memory, ProposedTracks
from cvis.types import Clip

Model = TypeVar("Model", bound=Segmenter)


@dataclass(frozen=True)
class OldView:
    """What the old model says of one batch. No gradients lead into it."""

    segmenter: ClassSlots
    memory: Memory
    layers: tuple[Any, ...]  # all prediction layers, a SlotOutput each, the last is the answer; queries without masks
    maps: Maps | None = None  # what the memory was made of

    @property
    def classes(self) -> list[int]:
        """Data-set ids of its classes, in the order of its logits."""
        return self.segmenter.classes

    @cached_property
    def answer(self) -> Any:
        """The last layer with its masks, which only some methods need: an ``Output``, if slots are queries."""
        with torch.no_grad():
            return self.segmenter.with_masks(self.memory, self.layers[-1:])[0]

    def proposals(self, clip: Clip) -> list[ProposedTracks]:
        """The tracks that it proposes in each clip of the batch."""
        if isinstance(self.segmenter, AlignedQueries):  # what it has said already
            return self.segmenter.proposals(self.answer, self.memory, clip.frames.shape[-2:])
        assert isinstance(self.segmenter, ClipTracks)  # methods that ask for proposals require it
        return self.segmenter.clip_tracks(clip, self.maps)


class Teacher(nn.Module, Generic[Model]):
    """A frozen copy of a segmenter, in eval mode whatever is around it.

    Make it in ``begin_task``, before the segmenter grows. It has no parameters and no state: what it copies is the
    state after the step before, which is on disk already, and from which a resumed run makes it again. A backbone
    that is frozen is not copied but shared, and so are its maps: what a batch costs twice is the part that learns.
    """

    def __init__(self, segmenter: Model) -> None:
        super().__init__()
        self.shares_backbone = segmenter.backbone_frozen
        shared = {id(segmenter.backbone): segmenter.backbone} if self.shares_backbone else {}
        frozen = copy.deepcopy(segmenter, shared)
        frozen.requires_grad_(False)
        frozen.eval()
        self._hidden = (frozen,)  # in a tuple, modules are not found by parameters(), state_dict() and train()

    @property
    def segmenter(self) -> Model:
        return self._hidden[0]

    def maps(self, of_student: Maps | None) -> Maps | None:
        """What the student's backbone said of a batch, if it is the teacher's too; else None: find out."""
        return of_student if self.shares_backbone else None

    def _apply(self, fn: Callable, recurse: bool = True) -> Teacher:
        """``to(device)`` moves the copy too."""
        super()._apply(fn, recurse)
        self.segmenter._apply(fn, recurse)
        return self
