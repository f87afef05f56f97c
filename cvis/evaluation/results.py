"""Predictions on disk, in the YouTube-VIS results format (plain or gzipped JSON).

A list of ``{"video_id", "category_id", "score", "segmentations": [{"size", "counts"} | null, ...]}``, one
entry per track, one segmentation per frame of the video.
"""

from __future__ import annotations

import gzip
import heapq
import json
import math
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, cast

from cvis.atomic import atomic_path
from cvis.data.videoset import VideoSet
from cvis.errors import UserError, did_you_mean_path
from cvis.evaluation.json_stream import NotAnArrayError, TooLongError, array_batches
from cvis.evaluation.overlap import decode_predicted
from cvis.types import RLE, Tracks

_Entry = tuple[int, int, float, tuple[RLE | None, ...]]  # video id, category id, score, masks

_TOGETHER = 64  # entries at most in one value of a stream
_FORMAT = "give a list of {video_id, category_id, score, segmentations}"


def stream_results(path: Path | str, ground_truth: VideoSet) -> Iterator[tuple[int, Tracks]]:
    """The tracks of ``path`` in the order of the file, in the memory of a few entries, however large it is.

    Masks are as the file has them, counts as strings, and not checked: :meth:`VideoAP.extend
    <cvis.evaluation.VideoAP.extend>` does that, once, and takes :func:`entry_name` for its messages.

    Yields:
        The index of an entry, and the tracks of it and of those behind it that belong to the same video. A video
        may come again.

    Raises:
        UserError: see :func:`read_results`.
    """
    path = Path(path)
    return group_entries(chain.from_iterable(batches(path)), path, ground_truth)


def group_entries(values: Iterable[object], path: Path | str, ground_truth: VideoSet) -> Iterator[tuple[int, Tracks]]:
    """:func:`stream_results` of parsed JSON values; ``path`` is for messages."""
    first = 0
    entries = (_entry(path, n, value, ground_truth) for n, value in enumerate(values))
    for video_id, entries_of_video in groupby(entries, key=itemgetter(0)):
        while some := tuple(islice(entries_of_video, _TOGETHER)):
            yield first, _tracks(video_id, some)
            first += len(some)


def read_results(path: Path | str, ground_truth: VideoSet) -> Iterator[Tracks]:
    """Yield the tracks of each video in ``path``, by ascending video id; videos without any are left out.

    Within a video the tracks keep the order of the file. A file ordered by video, as :func:`write_results` makes
    it, is read twice and takes the memory of one video; any other, and a pipe, is read into memory.

    Raises:
        UserError: the file cannot be read or is truncated, or an entry does not fit the ground truth; names
            the file, the entry's index, the field, the value and the remedy.
    """
    path = Path(path)
    entries = _fitting(path, ground_truth)
    if path.is_file() and _is_ascending(path):  # a pipe cannot be read twice
        for video_id, entries_of_video in groupby(entries, key=itemgetter(0)):
            yield _tracks(video_id, entries_of_video)
        return
    by_video: dict[int, list[_Entry]] = {}
    for entry in entries:
        by_video.setdefault(entry[0], []).append(entry)
    for video_id in sorted(by_video):
        yield _tracks(video_id, by_video.pop(video_id))


def entry_name(path: Path | str, first: int, n: int = 0) -> str:
    """Begins every message about the entry ``n`` behind the one with index ``first``."""
    return f"{path}: entry {first + n}"


def _fitting(path: Path, ground_truth: VideoSet) -> Iterator[_Entry]:
    for first, tracks in stream_results(path, ground_truth):
        decode_predicted(tracks, ground_truth, partial(entry_name, path, first))
        segmentations = (tuple(m and _compressed(m) for m in masks) for masks in tracks.segmentations)
        for fields in zip(tracks.category_ids, tracks.scores, segmentations, strict=True):
            yield tracks.video_id, *fields


def _compressed(mask: Any) -> RLE:
    return RLE(size=mask["size"], counts=mask["counts"].encode())


def _is_ascending(path: Path) -> bool:
    last = -1
    for value in chain.from_iterable(batches(path)):
        video_id = value.get("video_id") if isinstance(value, dict) else None
        if not isinstance(video_id, int) or video_id < last:
            return False
        last = video_id
    return True


def _tracks(video_id: int, entries: Iterable[_Entry]) -> Tracks:
    _, category_ids, scores, segmentations = zip(*entries, strict=True)
    return Tracks(video_id, category_ids, scores, segmentations)


def write_results(path: Path | str, tracks: Iterable[Tracks]) -> None:
    """Write predictions by ascending video id, gzipped if ``path`` ends in ``.gz``; atomic.

    The counts of a mask may be bytes, as pycocotools gives them, or a string, as JSON does.
    Equal tracks give equal bytes, in whichever order the videos come.

    Raises:
        UserError: a score is not finite, or the file system refuses the write.
    """
    ordered = sorted(tracks, key=lambda t: t.video_id)
    _write(Path(path), (entry for tracks in ordered for entry in _entries(tracks)))


def merge_results(path: Path | str, parts: Sequence[Path]) -> None:
    """Write the file that :func:`write_results` would have made of all videos, from those of different videos.

    Raises:
        UserError: a part cannot be read, or the file system refuses the write.
    """
    entries = (chain.from_iterable(batches(part)) for part in parts)
    _write(Path(path), heapq.merge(*entries, key=itemgetter("video_id")))


def _write(path: Path, entries: Iterable[dict[str, object]]) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        if path.suffix == ".gz":  # no name and no time in the header
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as stream:
                stream.writelines(_lines(entries))
        else:
            file.writelines(_lines(entries))


def _lines(entries: Iterable[dict[str, object]]) -> Iterator[bytes]:
    start = b"[\n"
    for entry in entries:
        yield start + json.dumps(entry, separators=(",", ":")).encode()
        start = b",\n"
    yield b"[]\n" if start == b"[\n" else b"\n]\n"


def _entries(tracks: Tracks) -> Iterator[dict[str, object]]:
    fields = zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True)
    for n, (category_id, score, masks) in enumerate(fields):
        if not math.isfinite(score):
            where = f"video {tracks.video_id}: track {n}"
            raise UserError(f"{where}: score: {score}: not finite; give every track a finite score")
        yield {
            "video_id": int(tracks.video_id),
            "category_id": int(category_id),
            "score": float(score),
            "segmentations": [m and {"size": [int(n) for n in m["size"]], "counts": _text(m["counts"])} for m in masks],
        }


def _text(counts: bytes | str) -> str:
    return counts if isinstance(counts, str) else counts.decode("ascii")


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The text of a results file, .json or .json.gz."""
    with path.open("rb") as file:
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if file.peek(2)[:2] == b"\x1f\x8b" else file


def batches(path: Path) -> Iterator[list]:
    """The entries of a results file, .json or .json.gz, some at a time, unchecked.

    Raises:
        UserError: the file cannot be read, is truncated, or no array of JSON.
    """
    try:
        with unpacked(path) as file:
            yield from array_batches(file.read)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged or truncated gzip file: {error}; write or copy it again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = did_you_mean_path(path, "check the path of the predictions")
        raise UserError(f"{path}: cannot be read: {reason}; {remedy}") from error
    except NotAnArrayError as error:
        raise UserError(f"{path}: top level: {error}: not a results file; {_FORMAT}") from None
    except TooLongError as error:
        raise UserError(f"{path}: {error}; no prediction is that long: write or copy it again") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON, or truncated: {error}; write or copy it again") from error


def _entry(path: Path | str, n: int, value: object, ground_truth: VideoSet) -> _Entry:
    if not isinstance(value, dict):
        raise UserError(f"{entry_name(path, n)}: {type(value).__name__}: not an object; {_FORMAT}")
    for name, (kinds, what) in _FIELDS.items():
        if name not in value:
            raise UserError(f"{entry_name(path, n)}: {name}: missing; {_FORMAT}")
        given = value[name]
        wrong = not isinstance(given, kinds) or isinstance(given, bool)
        if wrong or (name == "score" and not abs(given) <= sys.float_info.max):
            raise UserError(f"{entry_name(path, n)}: {name}: {given!r:.60}: not {what}")
    video_id = value["video_id"]
    if video_id not in ground_truth.by_id:
        raise UserError(
            f"{entry_name(path, n)}: video_id: {video_id}: not in the ground truth; score with its own file"
        )
    return video_id, value["category_id"], float(value["score"]), tuple(value["segmentations"])


_FIELDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "video_id": (int, "an integer; use the ground truth's id"),
    "category_id": (int, "an integer; use the ground truth's id"),
    "score": ((int, float), "a finite number; give every track a finite score"),
    "segmentations": (list, "a list; give one mask or null per frame"),
}
