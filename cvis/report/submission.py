"""A step's predictions as the servers of YouTube-VIS and OVIS take them: ``results.json``, alone in a zip file.

A server takes a flat list of ``{"video_id", "category_id", "score", "segmentations"}`` with one mask, or null, per
frame, and knows videos and categories by the ids of the data set. The predictions of a run are that list already;
what is handed in are the very bytes that were scored. A video without predictions simply has no entry.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import shutil
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.evaluation.results import batches, unpacked
from cvis.files import zip_entry
from cvis.runs.open import open_run
from cvis.runs.result import RunResult

NAME = "results.json"
SERVED = ("ytvis2019", "ytvis2021", "ovis")
"""Data sets whose validation videos a server scores."""
FORMATS = {"submission": (".zip",), "results": (".json", ".json.gz")}


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        videos: how many have predictions.
        categories: data-set ids that occur, ascending.
        warning: why a server would not score it; empty if nothing speaks against it.
    """

    path: Path
    step: int
    videos: int
    tracks: int
    categories: tuple[int, ...]
    warning: str = ""


def export(folder: Path, step: int | None = None, out: Path | None = None, kind: str = "submission") -> Export:
    """Write the predictions of one step of a finished run; atomic.

    Args:
        folder: of the run.
        step: default: the last.
        out: default: a name made of scenario, learner, seed and step, in the current folder.
        kind: of :data:`FORMATS`: ``submission`` for the zip file, ``results`` for the list alone.

    Raises:
        UserError: not a finished run, no such step, predictions that are damaged or not the run's own, or a file
            that cannot be written.
    """
    run = open_run(folder)
    step = run.result.step_at(step)
    name = f"{run.result.scenario}-{run.result.learner}-seed{run.result.seed}-step{step}"
    out = out or Path(re.sub(r"[^\w.+=,-]", "_", name) + FORMATS[kind][0])
    if not out.name.endswith(FORMATS[kind]):
        raise UserError(f"--out {out}: is not the name of such a file; end it in {' or '.join(FORMATS[kind])}")
    predictions = run.predictions(step)
    seen = frozenset(c for classes in run.result.learned[: step + 1] for c in classes)
    videos, tracks, categories = _checked(predictions, seen)
    with unpacked(predictions) as text, atomic_path(out) as temporary, temporary.open("wb") as file:
        _write(file, out.name, text)
    return Export(out, step, videos, tracks, categories, _objection(run.result))


def _objection(run: RunResult) -> str:
    """Why the server of the data set would not know these videos."""
    dataset, split = run.protocol.get("dataset"), run.protocol.get("split")
    if dataset not in SERVED:
        return f"no server scores the videos of data set {dataset!r}"
    if split != "official-valid":
        return (
            f"these are not the official validation videos of {dataset} but those of split {split!r}: its server does "
            "not know them; run with --set protocol.split=official-valid"
        )
    return ""


def _checked(path: Path, seen: Collection[int]) -> tuple[int, int, tuple[int, ...]]:
    """Numbers of videos and tracks, and the categories that occur."""
    frames: dict[int, int] = {}  # of each video
    categories: set[int] = set()
    tracks = 0
    for entry in chain.from_iterable(batches(path)):
        if wrong := _wrong(entry, seen, frames):
            raise UserError(f"{path}: entry {tracks}: {wrong}; run the same `cvis run` again")
        categories.add(entry["category_id"])
        tracks += 1
    return len(frames), tracks, tuple(sorted(categories))


def _wrong(entry: Any, seen: Collection[int], frames: dict[int, int]) -> str:
    """What a server would stumble over; empty where nothing. ``frames`` learns the length of each video."""
    if not isinstance(entry, dict):
        return f"{entry!r:.60}: is not an object"
    video, category, score, masks = (entry.get(k) for k in ("video_id", "category_id", "score", "segmentations"))
    if type(video) is not int:
        return f"video_id: {video!r:.60}: is not a whole number"
    if type(category) is not int or category not in seen:
        return f"category_id: {category!r:.60}: is none of the classes learned by this step"
    if not isinstance(score, (int, float)) or isinstance(score, bool) or not math.isfinite(score):
        return f"score: {score!r:.60}: is not a finite number"
    if not isinstance(masks, list) or not all(mask is None or _is_mask(mask) for mask in masks):
        return "segmentations: is not a list of a mask or null per frame"
    if frames.setdefault(video, len(masks)) != len(masks):
        return f"segmentations: {len(masks)} frames, where earlier entries of video {video} have {frames[video]}"
    return ""


def _is_mask(mask: Any) -> bool:
    return isinstance(mask, dict) and isinstance(mask.get("counts"), str) and isinstance(mask.get("size"), list)


def _write(file: IO[bytes], name: str, text: IO[bytes]) -> None:
    """The text in the format of the name, block by block: it may be larger than the memory."""
    if name.endswith(".zip"):
        entry = zip_entry(NAME)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.file_size = text.seek(0, os.SEEK_END)
        text.seek(0)
        with zipfile.ZipFile(file, "w") as archive, archive.open(entry, "w") as target:
            shutil.copyfileobj(text, target)
    elif name.endswith(".gz"):
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as stream:  # no name, no time
            shutil.copyfileobj(text, stream)
    else:
        shutil.copyfileobj(text, file)
