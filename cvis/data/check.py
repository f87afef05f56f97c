"""Everything that is wrong with a data set on disk, in one list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cvis.data.datasets import data_root, known
from cvis.data.frames import check_frame
from cvis.data.schema import parse
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import collection_paused, forms, read_bytes
from cvis.errors import Problem, UserError
from cvis.types import Video

Progress = Callable[[int, int], None]
"""Called with the frames done and the frames in all, of the part being checked."""

_THREADS = 8  # Pillow decodes without holding the interpreter's lock


@dataclass(frozen=True)
class Counts:
    """What one part holds. ``tracks`` is 0 where the labels are private."""

    videos: int
    frames: int
    tracks: int
    categories: int


@dataclass(frozen=True)
class Report:
    """Everything that :func:`check` has to say."""

    dataset: str
    root: Path
    counts: dict[str, Counts]  # part ("train", "valid", "test") -> counts, for the parts that are there
    scorable: tuple[str, ...]  # the parts with annotations
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """No error; there may be warnings."""
        return not any(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """The report in JSON's own types."""
        return {
            "dataset": self.dataset,
            "root": str(self.root),
            "ok": self.ok,
            "counts": {part: asdict(counts) for part, counts in self.counts.items()},
            "scorable": list(self.scorable),
            "problems": [asdict(problem) for problem in self.problems],
        }


def check(root: Path | str | None, dataset: str, progress: Progress | None = None) -> Report:
    """Check layout, counts, ids, categories, every segmentation, and every frame's size and readability.

    Args:
        root: the data set's folder; ``None``: as :func:`cvis.data.datasets.data_root`.
        dataset: a name of `cvis data list`.
        progress: called while frames are read.

    Raises:
        UserError: there is no data set of that name. All that is wrong on disk is in the report instead.
    """
    entry, folder = known(dataset), data_root(dataset, root)
    problems: list[Problem] = []
    counts: dict[str, Counts] = {}
    scorable: list[str] = []
    for part in entry.layouts:
        file, frames = entry.find(folder, part)
        if file is None:
            if part == "train":
                problems.append(entry.missing(folder, part))
            continue
        annotated, videos = _annotations(file, part, problems)
        if videos is not None:
            total = sum(map(len, videos.videos))
            counts[part] = Counts(len(videos), total, videos.num_tracks, len(videos.categories))
            scorable += [part] * annotated
            problems += entry.differences(videos, file, part)
        if frames is None:
            problems.append(entry.missing(folder, part))
        elif videos is not None:
            problems += _frames(videos, frames, progress)
    return Report(dataset, folder, counts, tuple(scorable), tuple(problems))


def _annotations(file: Path, part: str, problems: list[Problem]) -> tuple[bool, VideoSet | None]:
    """Whether a part has annotations, and what its file holds; ``None`` if it is not JSON."""
    try:
        with collection_paused():
            data = read_bytes(file)
            for raw in forms(data, file):
                annotated = isinstance(raw, dict) and bool(raw.get("annotations"))
                private = part != "train" and isinstance(raw, dict) and not annotated
                if private:  # as the authors publish it: nothing is wrong with that
                    raw = {**raw, "annotations": None}
                faults: list[Problem] = []
                videos = parse(raw, file, hashlib.sha256(data).hexdigest(), faults.append)
                if not any(fault.severity == "error" for fault in faults):
                    break
    except UserError as error:
        problems.append(error.args[0])
        return False, None
    problems += [p for p in faults if not (private and p.field == "annotations")]
    return annotated, videos


def _frames(videos: VideoSet, root: Path, progress: Progress | None) -> Iterator[Problem]:
    """Read every frame; one problem per frame that is missing, damaged or of another size."""
    total = sum(map(len, videos.videos))
    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for video in videos.videos:  # video by video: the queue stays short
            for problem in pool.map(lambda name, video=video: _frame(root / name, video), video.frames):
                done += 1
                if problem is not None:
                    yield problem
            if progress is not None:
                progress(done, total)


def _frame(path: Path, video: Video) -> Problem | None:
    try:
        check_frame(path, video.height, video.width)
    except UserError as error:
        return error.args[0]
    return None
