"""Annotation files of YouTube-VIS-2019, -2021 and OVIS, as their authors distribute them."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cvis.data import cache as index
from cvis.data.schema import parse
from cvis.data.track_masks import backend
from cvis.data.videoset import VideoSet
from cvis.errors import Problem, did_you_mean_path
from cvis.files import read_bounded

LARGEST = 1 << 32
"""Bytes of an annotation file: 4 GiB, several times the largest published one."""


def read_ytvis(annotations: Path | str, frames: Path | str | None, cache: bool = True) -> VideoSet:
    """An annotation file as a :class:`VideoSet`, with the data set's own ids masks as compressed RLE.

    Args:
        annotations: the JSON file.
        frames: the folder that its ``file_names`` are relative to; ``None`` where no frame will be read.
        cache: keep the parsed form, so that the file opens fast the next time.

    Raises:
        UserError: the file or the folder is missing, or the file is not what it should be; the message
            names the field.
    """
    annotations = Path(annotations)
    with collection_paused():
        data = read_bytes(annotations)
        sha256 = hashlib.sha256(data).hexdigest()
        videos = index.load(sha256) if cache else None
        if videos is None:
            videos = _parsed(data, annotations, sha256, cache)
        return videos if frames is None else rooted(Path(frames), videos)


def _parsed(data: bytes, annotations: Path, sha256: str, cache: bool) -> VideoSet:
    for raw in forms(data, annotations):
        faults: list[Problem] = []
        videos = parse(raw, annotations, sha256, faults.append)
        if not any(fault.severity == "error" for fault in faults):
            break
    for fault in faults:
        raise_error(fault)
    if cache:
        index.save(videos)
    return videos


def read_bytes(file: Path) -> bytes:
    """The content of an annotation file.

    Raises:
        UserError: it cannot be read, or is too large.
    """
    try:
        return read_bounded(file, LARGEST)
    except OSError as error:
        what = f"the annotation file cannot be read: {error.strerror}"
        remedy = did_you_mean_path(file, "check the path, or unpack the data set there")
        raise Problem(str(file), "", "", what, remedy).error() from error


def forms(data: bytes, file: Path) -> Iterator[Any]:
    """The JSON value in ``data``, with the runs of its masks compressed: a third of the memory, and soon read.

    Then once more with its own runs, for whoever finds a fault and is to name it by what stands in the file.

    Raises:
        UserError: it is not complete JSON; names the position.
    """
    with suppress(ValueError, RecursionError):
        yield json.loads(backend().compressed(data))
    yield decode(data, file)


def decode(data: bytes, file: Path) -> Any:
    """The JSON value in ``data``.

    Raises:
        UserError: it is not complete JSON; names the position.
    """
    remedy = "the file is cut off or not JSON: download it again"
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno} of {len(data)} bytes"
        raise Problem(str(file), where, error.msg, "is not JSON", remedy).error() from None
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of thousands of digits, deep nesting
        raise Problem(str(file), "", type(error).__name__, "is not JSON", remedy).error() from None


@contextmanager
def collection_paused() -> Iterator[None]:
    """Python's cyclic collector walks millions of new, acyclic objects for nothing; it doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def raise_error(problem: Problem) -> None:
    """What becomes of findings where a file is read: the first error ends it."""
    if problem.severity == "error":
        raise problem.error()


def rooted(root: Path, videos: VideoSet) -> VideoSet:
    """The videos with their frames below ``root``.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        remedy = "unpack the frames there, or point --data to the data set"
        raise Problem(str(root), "", "", "the folder of the frames does not exist", remedy).error()
    root = root.absolute()
    found = tuple(replace(v, frames=tuple(root / name for name in v.frames)) for v in videos.videos)
    return replace(videos, videos=found)
