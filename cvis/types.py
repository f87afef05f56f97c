"""The values that cross a border between two layers. Frozen, and tensors documented by shape.

Category ids are always the *data set's own* ids, in files and in these types alike. They are mapped to
columns of a class head inside the segmenter and nowhere else: silent relabelling is the most reported
bug of continual-learning suites.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:  # evaluation and data must stay importable without torch
    from torch import Tensor

NO_OBJECT = -1
"""Category id of a target that is supervised as "no object" (only with ``other_class_policy=empty_target``)."""


class RLE(TypedDict):
    """Compressed COCO run-length encoding of one frame's mask."""

    size: list[int]  # [height, width]
    counts: bytes


@dataclass(frozen=True, slots=True)
class Category:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Video:
    """One video on disk. ``len(video)`` is its number of frames."""

    id: int
    name: str
    height: int  # pixels, as in the annotation file
    width: int
    frames: tuple[Path, ...]  # one file per frame, absolute

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class Track:
    """One annotated instance, followed through its video."""

    id: int
    video_id: int
    category_id: int
    segmentations: tuple[RLE | None, ...]  # one per frame of the video; None where absent
    areas: tuple[float, ...]  # pixels, as in the annotation file; 0 where absent
    iscrowd: bool = False


@dataclass(frozen=True, slots=True)
class Tracks:
    """What a model found in one video: N predicted tracks."""

    video_id: int
    category_ids: tuple[int, ...]  # N, data-set ids
    scores: tuple[float, ...]  # N, finite, higher is surer
    segmentations: tuple[tuple[RLE | None, ...], ...]  # N x frames of the video

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def joined(cls, video_id: int, lists: Sequence[Tracks]) -> Tracks:
        """Several lists for one video, one behind the other."""
        return cls(
            video_id,
            tuple(category for tracks in lists for category in tracks.category_ids),
            tuple(score for tracks in lists for score in tracks.scores),
            tuple(masks for tracks in lists for masks in tracks.segmentations),
        )


@dataclass(frozen=True, slots=True)
class Targets:
    """The instances of one training clip: N tracks, visible in at least one of its T frames."""

    category_ids: Tensor  # [N] int64, data-set ids (or NO_OBJECT)
    masks: Tensor  # [N, T, H, W] bool; all False in frames where the instance is absent
    identities: Tensor | None = None  # [N] int64, which of its training set's tracks each is, from 0; -1: of none


@dataclass(frozen=True, slots=True)
class Clip:
    """A batch of B training clips of T frames each, padded at the right and bottom to a common size."""

    frames: Tensor  # [B, T, 3, H, W] uint8 RGB; the segmenter normalises
    sizes: Tensor  # [B, 2] int64, height and width before padding
    targets: tuple[Targets, ...]  # B
    names: tuple[str, ...]  # B, "<video name>[<frame>,<frame>]", for messages
    skipped: tuple[str, ...] = ()  # why others are not in it: a line for each

    def to(self, device, non_blocking: bool = False) -> Clip:
        """The same batch on another device; ``non_blocking``: do not wait for pinned memory to be read."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Clip:
        """The same batch in pinned memory; torch's data loader looks for this method by its name."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, move: Callable[[Tensor], Tensor]) -> Clip:
        targets = tuple(
            Targets(move(t.category_ids), move(t.masks), None if t.identities is None else move(t.identities))
            for t in self.targets
        )
        return Clip(move(self.frames), move(self.sizes), targets, self.names, self.skipped)
