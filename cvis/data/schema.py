"""What an annotation file in YouTube-VIS format must hold.

The reader and the checker share this one parser. Every finding goes to ``report``: the reader's raises at
the first error, the checker's collects, and parsing goes on without the faulty part.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.data.rle import RLEError, read_segmentation
from cvis.data.track_masks import TrackMasks
from cvis.data.videoset import VideoSet
from cvis.errors import Problem, short, wrong_name
from cvis.types import RLE, Category, Track, Video

Report = Callable[[Problem], None]

AREA_TOLERANCE = 0.05
"""An ``areas`` entry further than this (relative, and at least 10 pixels) from its mask is a warning."""

_AGAIN = "download the annotation file again, or mend the script that wrote it"

_MAX_ID = 2**63 - 1  # ids are int64 in tensors and in the cache
_MAX_CATEGORIES = 10_000  # the curves of each take 97 KB in an evaluation
_MAX_SIDE = 65535  # pixels; JPEG's limit, and pycocotools counts the pixels of a frame in 32 bits
_MAX_FLOAT = sys.float_info.max  # JSON's whole numbers have no limit


@dataclass(frozen=True)
class _Findings:
    """Where findings go, and in which file they are."""

    file: str
    report: Report

    def error(self, field: str, value: Any, what: str, remedy: str = _AGAIN) -> None:
        self.report(Problem(self.file, field, short(value), what, remedy))

    def warn(self, field: str, value: Any, what: str, remedy: str) -> None:
        self.report(Problem(self.file, field, short(value), what, remedy, "warning"))

    def has(self, record: Mapping, field: str, **kinds: type) -> bool:
        """Whether every key is there with a value of its type; says so where not."""
        for key, kind in kinds.items():
            value = record.get(key)
            if key not in record:
                self.error(f"{field}.{key}", None, "is missing")
                return False
            if not isinstance(value, kind) or isinstance(value, bool):
                self.error(f"{field}.{key}", value, f"is not {_KIND[kind]}")
                return False
        return True


_KIND: dict[type, str] = {int: "a whole number", str: "a string", list: "a list", dict: "an object"}


def parse(raw: Any, file: Path | str, sha256: str, report: Report) -> VideoSet:
    """The content of an annotation file; frames are its own relative names.

    Tracks that are absent from every frame are left out (with a warning): no model can see them, and no
    metric can score them. Masks without a pixel become ``None``.

    Args:
        raw: the decoded JSON.
        file: for messages.
        sha256: of the file.
        report: receives every :class:`~cvis.errors.Problem`; may raise.
    """
    findings = _Findings(str(file), report)
    if not isinstance(raw, dict):
        findings.error("", type(raw).__name__, "the file does not hold an object with videos and categories")
        return VideoSet((), (), {}, sha256)
    if remedy := _coco_remedy(raw):
        findings.error("images", f"{len(raw['images'])} images", "is a file of COCO, not of YouTube-VIS", remedy)
        return VideoSet((), (), {}, sha256)
    categories = tuple(_categories(raw, findings))
    known_categories = {c.id for c in categories}
    videos = {video.id: video for video in _videos(raw, findings)}
    tracks: dict[int, list[Track]] = {video_id: [] for video_id in sorted(videos)}
    for track in _tracks(raw, videos, known_categories, findings):
        tracks[track.video_id].append(track)
    _warn_of_empty(tracks, raw, findings)
    by_id = {i: tuple(sorted(annotated, key=lambda track: track.id)) for i, annotated in tracks.items()}
    return VideoSet(categories, tuple(videos[i] for i in sorted(videos)), by_id, sha256)


def _coco_remedy(raw: Mapping) -> str:
    """What to do with a file of COCO, whose annotations are of single images; empty if it is none."""
    annotations = raw.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else {}
    if not isinstance(raw.get("images"), list) or not isinstance(first, dict) or "segmentations" in first:
        return ""
    if "videos" not in raw:
        return (
            "make each image a video of one frame: cvis data import --from coco; or of several: cvis data pseudo-videos"
        )
    return "make it one by cvis data import --from coco-video" if "image_id" in first else ""


def _records(raw: Mapping, name: str, findings: _Findings, remedy: str = _AGAIN) -> Iterator[tuple[str, dict]]:
    """The objects of a top-level list, each with its field name and a whole-number id of its own."""
    records = raw.get(name)
    if not isinstance(records, list):
        findings.error(name, records, f"the file has no {name}", remedy)
        return
    seen: dict[int, str] = {}
    for i, record in enumerate(records):
        field = f"{name}[{i}]"
        if not isinstance(record, dict):
            findings.error(field, record, "is not an object")
        elif findings.has(record, field, id=int):
            if not 0 <= record["id"] <= _MAX_ID:
                what = "is negative" if record["id"] < 0 else "does not fit 64 bits"
                findings.error(f"{field}.id", record["id"], what)
            elif record["id"] in seen:
                findings.error(f"{field}.id", record["id"], f"is the id of {seen[record['id']]} too")
            else:
                seen[record["id"]] = field
                yield field, record


def _categories(raw: Mapping, findings: _Findings) -> Iterator[Category]:
    names: dict[str, str] = {}
    for field, record in _records(raw, "categories", findings):
        if not findings.has(record, field, name=str):
            continue
        name = record["name"]
        if len(names) == _MAX_CATEGORIES:
            findings.error("categories", len(raw["categories"]), f"are more than {_MAX_CATEGORIES}")
            return
        if what := wrong_name(name):
            findings.error(f"{field}.name", name, what)
            continue
        if name in names:
            findings.error(f"{field}.name", name, f"is the name of {names[name]} too")
        names.setdefault(name, field)
        yield Category(record["id"], name)


def _videos(raw: Mapping, findings: _Findings) -> Iterator[Video]:
    for field, record in _records(raw, "videos", findings):
        if not findings.has(record, field, height=int, width=int, file_names=list):
            continue
        names = record["file_names"]
        wrong = [(f"{field}.{key}", record[key]) for key in ("height", "width") if not 1 <= record[key] <= _MAX_SIDE]
        for part, value in wrong:
            findings.error(part, value, f"is not a positive number of pixels, {_MAX_SIDE} at most")
        if wrong or not _good_names(names, record.get("length"), field, findings):
            continue
        folder = names[0].rpartition("/")[0]
        name = str(record.get("name") or folder or record["id"])
        if what := wrong_name(name):
            findings.error(f"{field}.name", name, what)
            continue
        frames = tuple(Path(n) for n in names)
        yield Video(record["id"], name, record["height"], record["width"], frames)


def _good_names(names: list, length: Any, field: str, findings: _Findings) -> bool:
    if not names:
        findings.error(f"{field}.file_names", names, "the video has no frames")
        return False
    if length is not None and length != len(names):
        findings.error(f"{field}.length", length, f"file_names lists {len(names)} frames")
        return False
    for t, name in enumerate(names):
        if not isinstance(name, str) or not name or wrong_name(name):
            findings.error(f"{field}.file_names[{t}]", name, "is not the name of a file")
            return False
        if name.startswith("/") or ".." in name.split("/"):
            findings.error(f"{field}.file_names[{t}]", name, "leads out of the folder of the frames")
            return False
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        findings.warn(f"{field}.file_names", twice, "is listed twice", "check the order of the frames")
    return True


def _tracks(raw: Mapping, videos: Mapping[int, Video], categories: set[int], findings: _Findings) -> Iterator[Track]:
    listed = _listed_ids(raw.get("videos"))
    remedy = "use the training annotations; those of the official valid and test parts are private"
    for field, record in _records(raw, "annotations", findings, remedy):
        if not findings.has(record, field, video_id=int, category_id=int, segmentations=list):
            continue
        if record["video_id"] not in listed:
            findings.error(f"{field}.video_id", record["video_id"], "no video has this id")
        elif record["category_id"] not in categories:
            findings.error(f"{field}.category_id", record["category_id"], "no category has this id")
        elif record["video_id"] in videos:
            track = _track(record, videos[record["video_id"]], field, findings)
            if track is not None:
                yield track


def _listed_ids(videos: Any) -> set[int]:
    """The ids of all videos, also of the faulty ones: their tracks are not faults of their own."""
    records = videos if isinstance(videos, list) else []
    ids = (record.get("id") for record in records if isinstance(record, dict))
    return {i for i in ids if isinstance(i, int)}


def _track(record: Mapping, video: Video, field: str, findings: _Findings) -> Track | None:
    given = record["segmentations"]
    if len(given) != len(video):
        findings.error(f"{field}.segmentations", len(given), f"video {video.id} has {len(video)} frames")
        return None
    masks, sizes = _compressed_masks(given, video) or _masks(given, video, field, findings)
    areas = _areas(record, sizes, field, findings)
    crowd = record.get("iscrowd")
    if crowd is not None and (not isinstance(crowd, int) or crowd not in (0, 1)):
        findings.error(f"{field}.iscrowd", crowd, "is not 0 or 1")
        return None
    _warn_of_boxes(record.get("bboxes"), len(video), field, findings)
    if areas is None:
        return None
    if not any(sizes):
        findings.warn(f"{field}.segmentations", "all null", "is never visible and is left out", "drop it")
        return None
    return Track(record["id"], video.id, record["category_id"], tuple(masks), areas, bool(crowd))


def _compressed_masks(given: Sequence[Any], video: Video) -> tuple[list[RLE | None], list[int]] | None:
    """:func:`_masks` of a track with compressed strings alone, all at once; None if it is none, or one is damaged."""
    size = [video.height, video.width]
    try:
        if not all(not mask or (mask["size"] == size and mask["counts"].isascii()) for mask in given):
            return None
        counts = [mask["counts"].encode() if mask else None for mask in given]
    except (KeyError, TypeError, AttributeError):
        return None
    read = TrackMasks.of(counts, len(given), *size)
    if not read.sound.all():
        return None
    sizes = [int(area) for area in read.areas[0]]
    masks = [RLE(size=size.copy(), counts=c) if c and area else None for c, area in zip(counts, sizes, strict=True)]
    return masks, sizes


def _masks(given: Sequence[Any], video: Video, field: str, findings: _Findings) -> tuple[list[RLE | None], list[int]]:
    """The mask of each frame, None where it has no pixel, and its area in pixels."""
    masks: list[RLE | None] = []
    sizes: list[int] = []
    for t, segmentation in enumerate(given):
        mask, size = None, 0
        if segmentation:  # null and [] mean absent
            try:
                mask, size = read_segmentation(segmentation, video.height, video.width)
            except RLEError as error:
                findings.error(f"{field}.segmentations[{t}]{error.part}", error.value, error.what)
        masks.append(mask if size else None)
        sizes.append(size)
    return masks, sizes


def _areas(record: Mapping, sizes: Sequence[int], field: str, findings: _Findings) -> tuple[float, ...] | None:
    """The file's areas, or the masks' own if it has none at all; 0 where the track is absent.

    Also 0 where the file has null for a mask: official evaluators then leave that frame out of the mean area,
    as they do with zeros.
    """
    given = record.get("areas")
    if given is None:
        return tuple(float(size) for size in sizes)
    if not isinstance(given, list) or len(given) != len(sizes):
        value = len(given) if isinstance(given, list) else given
        findings.error(f"{field}.areas", value, f"there are {len(sizes)} segmentations")
        return None
    for t, area in enumerate(given):
        if area is not None and (type(area) not in (int, float) or not 0 <= area <= _MAX_FLOAT):
            findings.error(f"{field}.areas[{t}]", area, "is not an area in pixels")
            return None
    _warn_of_areas(given, sizes, field, findings)
    return tuple(float(a) if size and a is not None else 0.0 for a, size in zip(given, sizes, strict=True))


def _warn_of_areas(given: Sequence[float | None], sizes: Sequence[int], field: str, findings: _Findings) -> None:
    pairs = [(t, a, s) for t, (a, s) in enumerate(zip(given, sizes, strict=True)) if s and a is not None]
    off = [(abs(a - s), t, a, s) for t, a, s in pairs if abs(a - s) > max(10, AREA_TOLERANCE * s)]
    if off:
        _, t, area, size = max(off)
        what = f"the mask has {size} pixels ({len(off)} frames of this track differ)"
        findings.warn(f"{field}.areas[{t}]", area, what, "areas only decide small, medium, large")


def _warn_of_boxes(boxes: Any, frames: int, field: str, findings: _Findings) -> None:
    """Nothing here reads boxes; other tools do."""
    remedy = "give null or [x, y, width, height] per frame; only other tools read it"
    if boxes is None:
        return
    if not isinstance(boxes, list) or len(boxes) != frames:
        value = len(boxes) if isinstance(boxes, list) else boxes
        findings.warn(f"{field}.bboxes", value, f"there are {frames} segmentations", remedy)
        return
    for t, box in enumerate(boxes):
        if box is not None and not _is_box(box):
            findings.warn(f"{field}.bboxes[{t}]", box, "is not a box", remedy)


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list) and len(box) == 4 and all(type(n) in (int, float) and abs(n) <= _MAX_FLOAT for n in box)
    )


def _warn_of_empty(tracks: Mapping[int, Sequence[Track]], raw: Mapping, findings: _Findings) -> None:
    if not isinstance(raw.get("annotations"), list):
        return
    for video_id, annotated in tracks.items():
        if not annotated:
            findings.warn("videos", video_id, "no visible instance is annotated in it", "no step will train on it")
