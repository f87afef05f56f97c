"""Predictions on disk, in the YouTube-VIS results format (plain or gzipped JSON).

A list of ``{"video_id", "category_id", "score", "segmentations": [{"size", "counts"} | null, ...]}``, one
entry per track, one segmentation per frame of the video.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from cvis.atomic import atomic_path
from cvis.data.problem import short
from cvis.data.rle import RLEError, read_segmentation
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import collection_paused
from cvis.errors import UserError
from cvis.evaluation.check import check_track
from cvis.types import RLE, Tracks, Video

_FORMAT = "give a list of {video_id, category_id, score, segmentations}"


def read_results(path: Path | str, ground_truth: VideoSet) -> Iterator[Tracks]:
    """Yield the tracks of each video in ``path``, by ascending video id; videos without any are left out.

    Within a video the tracks keep the order of the file.

    Raises:
        UserError: the file cannot be read or is truncated, or an entry does not fit the ground truth; names
            the file, the entry's index, the field, the value and the remedy.
    """
    path = Path(path)
    known = frozenset(category.id for category in ground_truth.categories)
    groups: dict[int, list[tuple[int, float, tuple[RLE | None, ...]]]] = {}
    entries = _load(path)
    for index in range(len(entries)):
        entry, entries[index] = entries[index], None  # masks are converted: free each as it is done
        where = f"{path}: entry {index}"
        video_id = _integer(where, entry, "video_id")
        video = ground_truth.by_id.get(video_id)
        if video is None:
            raise UserError(f"{where}: video_id: {video_id}: not in the ground truth; score with its own file")
        category_id = _integer(where, entry, "category_id")
        score = _number(where, entry, "score")
        masks = _masks(where, entry)
        check_track(where, video, category_id, score, masks, known)
        _check_runs(where, video, masks)
        groups.setdefault(video_id, []).append((category_id, score, masks))
    for video_id in sorted(groups):
        category_ids, scores, segmentations = zip(*groups.pop(video_id), strict=True)
        yield Tracks(video_id, category_ids, scores, segmentations)


def write_results(path: Path | str, tracks: Iterable[Tracks]) -> None:
    """Write predictions by ascending video id, gzipped if ``path`` ends in ``.gz``; atomic.

    The counts of a mask may be bytes, as pycocotools gives them, or a string, as JSON does.
    Equal tracks give equal bytes, in whichever order the videos come.

    Raises:
        UserError: a score is not finite, or the file system refuses the write.
    """
    path = Path(path)
    ordered = sorted(tracks, key=lambda t: t.video_id)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        if path.suffix == ".gz":  # no name and no time in the header
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as stream:
                stream.writelines(_lines(ordered))
        else:
            file.writelines(_lines(ordered))


def _lines(ordered: Iterable[Tracks]) -> Iterator[bytes]:
    start = b"[\n"
    for entry in (entry for tracks in ordered for entry in _entries(tracks)):
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


def _load(path: Path) -> list:
    try:
        data = path.read_bytes()
        with collection_paused():
            content = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged or truncated gzip file: {error}; write or copy it again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: cannot be read: {reason}; check the path of the predictions") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON, or truncated: {error}; write or copy it again") from error
    if not isinstance(content, list):
        raise UserError(f"{path}: top level: {type(content).__name__}: not a results file; {_FORMAT}")
    return content


def _field(where: str, entry: object, name: str) -> object:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: {type(entry).__name__}: not an object; {_FORMAT}")
    if name not in entry:
        raise UserError(f"{where}: {name}: missing; {_FORMAT}")
    return entry[name]


def _integer(where: str, entry: object, name: str) -> int:
    value = _field(where, entry, name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{where}: {name}: {value!r:.60}: not an integer; use the ground truth's id")
    return value


def _number(where: str, entry: object, name: str) -> float:
    value = _field(where, entry, name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise UserError(f"{where}: {name}: {value!r:.60}: not a finite number; give every track a finite score")
    return float(value)


def _masks(where: str, entry: object) -> tuple[RLE | None, ...]:
    value = _field(where, entry, "segmentations")
    if not isinstance(value, list):
        raise UserError(f"{where}: segmentations: {value!r:.60}: not a list; give one mask or null per frame")
    return tuple(m if m is None else _mask(where, frame, m) for frame, m in enumerate(value))


def _mask(where: str, frame: int, value: object) -> RLE:
    size, counts = (value.get("size"), value.get("counts")) if isinstance(value, dict) else (None, None)
    if not isinstance(size, list) or not isinstance(counts, str) or not counts.isascii():
        raise UserError(
            f"{where}: segmentations[{frame}]: {value!r:.60}: not a compressed mask; "
            'give {"size": [height, width], "counts": string}, as pycocotools.mask.encode makes it, or null'
        )
    return RLE(size=size, counts=counts.encode())


def _check_runs(where: str, video: Video, masks: Iterable[RLE | None]) -> None:
    """The runs must fill the frame; pycocotools makes some mask, or a crash, of any text.

    Only for masks from a file: those of the engine come from pycocotools, and the check costs some 30 us each.
    """
    for frame, mask in enumerate(masks):
        try:
            if mask is not None:
                read_segmentation(mask, video.height, video.width)
        except RLEError as error:
            found = _text(error.value) if isinstance(error.value, bytes) else error.value
            raise UserError(
                f"{where}: segmentations[{frame}]{error.part}: {short(found)}: {error.what}; "
                "damaged, or of another frame size: encode the mask again"
            ) from None
