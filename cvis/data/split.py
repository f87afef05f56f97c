"""The held-out split: which annotated videos are for testing.

The labels of the official valid and test parts are private, so the suite tests on a part of the train videos.
The split is a pure function of which classes each video holds: nobody has to ship or trust a list.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.atomic import write_text
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError
from cvis.files import read_toml, shipped

FRACTION = 0.2
ENOUGH, AT_LEAST = 6, 3
"""A class with ``ENOUGH`` videos has ``AT_LEAST`` of them in test, so that its AP means something."""

_NO_CLASS = -1  # a video without annotations counts as of a class of its own


@dataclass(frozen=True)
class Split:
    """Video ids, sorted; ``sha256`` of both lists."""

    train: tuple[int, ...]
    test: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class FrameSplit:
    """Frame ranges ``video id -> (start, stop)`` for :meth:`VideoSet.slice_frames`."""

    train: dict[int, tuple[int, int]]
    test: dict[int, tuple[int, int]]


def holdout_split(classes_of_video: Mapping[int, Collection[int]], fraction: float = FRACTION) -> Split:
    """Split videos into train and test, stratified by class, about ``fraction`` of them for testing.

    Greedy, the rarest class first: a class takes test videos until it has its share, each time the one that
    overshoots the fewest other classes; ties go by the sha256 of the decimal video id. So that all can be
    learned, no class ever gives more than half of its videos (a class with one video gives none). Every class
    with 6 videos gets 3 test videos or more, unless that rule forbids it for another class of the same
    videos.

    Args:
        classes_of_video: video id -> its classes, in any numbering that keeps their order.
        fraction: of the videos, in (0, 0.5].

    Raises:
        UserError: ``fraction`` is out of range.
    """
    if not 0 < fraction <= 0.5:
        raise UserError(f"fraction: {fraction}: is not in (0, 0.5]; choose one, for instance {FRACTION}")
    classes = {i: frozenset(ids) or frozenset({_NO_CLASS}) for i, ids in classes_of_video.items()}
    order = sorted(classes, key=lambda i: hashlib.sha256(str(i).encode()).digest())
    total = Counter(c for ids in classes.values() for c in ids)
    share = {c: _share(n, fraction) for c, n in total.items()}
    taken: Counter[int] = Counter()
    test: set[int] = set()

    def take(among: list[int]) -> bool:
        """Move the best of these videos to test; False if the half rule leaves none."""
        free = [i for i in among if i not in test and all(taken[c] < total[c] // 2 for c in classes[i])]
        if not free:
            return False
        best = min(free, key=lambda i: sum(taken[c] >= share[c] for c in classes[i]))  # first in order
        test.add(best)
        taken.update(classes[best])
        return True

    for c in sorted(total, key=lambda c: (total[c], c)):
        candidates = [i for i in order if c in classes[i]]
        while taken[c] < share[c] and take(candidates):
            pass
    while len(test) < round(fraction * len(order)) and take(order):
        pass
    return _split(set(classes) - test, test)


def _share(videos: int, fraction: float) -> int:
    """How many test videos a class with so many videos should have."""
    least = AT_LEAST if videos >= ENOUGH else 1
    return min(max(least, round(fraction * videos)), videos // 2)


def _split(train: Collection[int], test: Collection[int]) -> Split:
    lists = {"train": sorted(train), "test": sorted(test)}
    return Split(tuple(lists["train"]), tuple(lists["test"]), checksum(lists))


def checksum(content: object) -> str:
    """sha256 of the canonical JSON of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def frames_split(videos: VideoSet, fraction: float = FRACTION) -> FrameSplit:
    """Split every video in time: its last ``fraction`` of frames, at least one, is for testing.

    For data sets with too few videos per class to hold any out. A video of one frame is for training only.

    Raises:
        UserError: ``fraction`` is out of range.
    """
    if not 0 < fraction < 1:
        raise UserError(f"fraction: {fraction}: is not in (0, 1); choose one, for instance {FRACTION}")
    train, test = {}, {}
    for video in videos.videos:
        frames = len(video)
        cut = frames - min(frames - 1, max(1, round(fraction * frames)))
        train[video.id] = (0, cut)
        if cut < frames:
            test[video.id] = (cut, frames)
    return FrameSplit(train, test)


def split_of(videos: VideoSet, fraction: float = FRACTION) -> Split:
    """The held-out split of an annotated set."""
    return holdout_split({video.id: videos.classes_of(video.id) for video in videos.videos}, fraction)


def make_split(annotations: Path | str, out: Path | str | None = None, fraction: float = FRACTION) -> Split:
    """The held-out split of an annotation file, written to ``out`` as ``{"train", "test", "sha256"}``.

    Raises:
        UserError: the file cannot be read, or ``out`` not be written.
    """
    split = split_of(read_ytvis(annotations, None), fraction)
    if out is not None:
        content = {"train": split.train, "test": split.test, "sha256": split.sha256}
        write_text(out, json.dumps(content) + "\n")
    return split


def read_splits() -> dict[str, dict[str, Any]]:
    """``scenarios/splits.toml``: what is known of each data set's default split."""
    return read_toml(shipped("scenarios") / "splits.toml")


def expected_sha256(dataset: str) -> str | None:
    """The confirmed checksum of a data set's default split; ``None`` where nobody has confirmed one."""
    entry = read_splits().get(dataset, {})
    return entry["sha256"] if entry.get("status") == "confirmed" else None
