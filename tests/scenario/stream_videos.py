"""Small annotated video sets made in code, for the tests of the stream engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from cvis.data.videoset import VideoSet
from cvis.types import Category, Track, Video

SIZE = (6, 8)


def one_pixel(frame: int):
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[0, frame % SIZE[1]] = 1
    return coco_mask.encode(mask)


def video_set(
    classes_of_video: Mapping[int, Sequence[int]],
    num_classes: int,
    names: Sequence[str] | None = None,
    frames: int = 3,
    absent: int | None = 1,
) -> VideoSet:
    """One track per listed class, of a single pixel; every second track is None in frame ``absent``."""
    names = names or [f"class{i}" for i in range(1, num_classes + 1)]
    categories = tuple(Category(i, name) for i, name in enumerate(names, start=1))
    videos, tracks, next_id = [], {}, 1
    for video_id in sorted(classes_of_video):
        files = tuple(Path(f"/frames/{video_id}/{t}.jpg") for t in range(frames))
        videos.append(Video(video_id, f"v{video_id}", *SIZE, files))
        annotated = []
        for category_id in classes_of_video[video_id]:
            hole = absent if next_id % 2 and frames > 1 else None
            masks = tuple(None if t == hole else one_pixel(t) for t in range(frames))
            areas = tuple(0.0 if m is None else 1.0 for m in masks)
            annotated.append(Track(next_id, video_id, category_id, masks, areas))
            next_id += 1
        tracks[video_id] = tuple(annotated)
    text = repr((sorted((v, tuple(c)) for v, c in classes_of_video.items()), names))
    return VideoSet(categories, tuple(videos), tracks, hashlib.sha256(text.encode()).hexdigest())
