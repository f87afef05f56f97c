"""The second opening of an annotation file: its parsed form, found by the file's checksum.

Arrays only, never pickle. A cache that cannot be read is rebuilt, one that cannot be written is done
without: it must not be a way to fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from cvis.atomic import atomic_path
from cvis.data.videoset import VideoSet
from cvis.files import cache_dir
from cvis.types import RLE, Category, Track, Video

VERSION = 2
"""Raise it whenever the parser's result for the same file changes."""


def cache_path(sha256: str) -> Path:
    """Where the parsed form of the annotation file with this checksum is kept."""
    return cache_dir() / "index" / f"{sha256}-v{VERSION}.npz"


def load(sha256: str) -> VideoSet | None:
    """The cached parse of a file, frames as relative names; ``None`` if there is none that can be read."""
    try:
        with np.load(cache_path(sha256), allow_pickle=False) as arrays:
            if arrays.zip.testzip() is not None:  # NumPy itself stops reading before the checksum
                return None
            return _unpack({name: arrays[name] for name in arrays.files}, sha256)
    except Exception:  # zipfile and NumPy meet damage with a dozen kinds of error, MemoryError among them
        return None


def save(videos: VideoSet) -> None:
    """Keep a parse whose frames are relative names, under ``videos.sha256``, if that is possible."""
    try:
        arrays = _pack(videos)
        with atomic_path(cache_path(videos.sha256)) as path, path.open("wb") as file:
            np.savez(file, **arrays)
    except Exception:  # a full disk, or content that no array holds
        return


def _pack(videos: VideoSet) -> dict[str, Any]:
    listing = {
        "categories": [[c.id, c.name] for c in videos.categories],
        "videos": [[v.id, v.name, v.height, v.width, [p.as_posix() for p in v.frames]] for v in videos.videos],
    }
    tracks = [track for video in videos.videos for track in videos.tracks[video.id]]
    masks = [mask for track in tracks for mask in track.segmentations]
    counts = [mask["counts"] if mask else b"" for mask in masks]
    return {
        "listing": np.frombuffer(json.dumps(listing).encode(), np.uint8),
        "tracks": np.array([[t.id, t.video_id, t.category_id, t.iscrowd] for t in tracks], np.int64).reshape(-1, 4),
        "areas": np.array([area for track in tracks for area in track.areas], np.float64),
        "lengths": np.array([len(c) for c in counts], np.int64),  # 0 where absent
        "counts": np.frombuffer(b"".join(counts), np.uint8),
    }


def _unpack(arrays: dict[str, np.ndarray], sha256: str) -> VideoSet:
    listing = json.loads(arrays["listing"].tobytes())
    categories = tuple(Category(i, name) for i, name in listing["categories"])
    videos = {
        i: Video(i, name, height, width, tuple(map(Path, names))) for i, name, height, width, names in listing["videos"]
    }
    tracks: dict[int, list[Track]] = {i: [] for i in videos}
    areas = arrays["areas"].tolist()
    masks = _masks(arrays["counts"].tobytes(), arrays["lengths"].tolist())
    start = 0
    for track_id, video_id, category_id, crowd in arrays["tracks"].tolist():
        video = videos[video_id]
        stop = start + len(video)
        segmentations = tuple(
            RLE(size=[video.height, video.width], counts=counts) if counts else None
            for counts in islice(masks, len(video))
        )
        track = Track(track_id, video_id, category_id, segmentations, tuple(areas[start:stop]), bool(crowd))
        tracks[video_id].append(track)
        start = stop
    return VideoSet(categories, tuple(videos.values()), {i: tuple(t) for i, t in tracks.items()}, sha256)


def _masks(blob: bytes, lengths: list[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield blob[start : start + length]
        start += length
