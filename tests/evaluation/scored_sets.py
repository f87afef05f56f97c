"""Small random ground truths and predictions that visit the corners of the evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pycocotools import mask as rle

from cvis.data.track_masks import TrackMasks
from cvis.data.videoset import VideoSet
from cvis.types import RLE, Category, Track, Tracks, Video

CLASSES = (3, 7, 12, 40)


def encode(mask: np.ndarray) -> RLE:
    return rle.encode(np.asfortranarray(mask.astype(np.uint8)))


def track_masks(tracks) -> TrackMasks:
    """N x T masks of one size (None where absent)."""
    height, width = next(m["size"] for masks in tracks for m in masks if m is not None)
    return TrackMasks.of([m and m["counts"] for masks in tracks for m in masks], len(tracks[0]), height, width)


def video_of(video_id: int, num_frames: int, height: int = 8, width: int = 8) -> Video:
    frames = tuple(Path(f"/{video_id}/{t}.jpg") for t in range(num_frames))
    return Video(video_id, f"v{video_id}", height, width, frames)


def track_of(track_id: int, video_id: int, category_id: int, masks, iscrowd: bool = False) -> Track:
    """An annotated track from bool masks (None where absent)."""
    segmentations = tuple(None if m is None else encode(m) for m in masks)
    areas = tuple(0.0 if m is None else float(m.sum()) for m in masks)
    return Track(track_id, video_id, category_id, segmentations, areas, iscrowd)


def tracks_of(video_id: int, *predicted) -> Tracks:
    """Predictions from (category id, score, bool masks or None per frame)."""
    segmentations = tuple(tuple(None if m is None else encode(m) for m in masks) for _, _, masks in predicted)
    return Tracks(video_id, tuple(c for c, _, _ in predicted), tuple(s for _, s, _ in predicted), segmentations)


def set_of(videos, tracks, classes=CLASSES) -> VideoSet:
    by_video = {v.id: tuple(t for t in tracks if t.video_id == v.id) for v in videos}
    return VideoSet(tuple(Category(c, f"class {c}") for c in classes), tuple(videos), by_video, sha256="")


def random_set(seed: int, crowds: bool = False) -> tuple[VideoSet, list[Tracks]]:
    """Ties, absent frames, empty, full and speckled masks, wrong classes, strays, sometimes 130 detections."""
    rng = np.random.default_rng(seed)
    videos, tracks, predictions = [], [], []
    for video_id in rng.choice(90, size=rng.integers(1, 5), replace=False).tolist():
        video = video_of(video_id, *(int(n) for n in rng.integers((1, 5, 5), (5, 16, 16))))
        videos.append(video)
        annotated = [_random_masks(rng, video) for _ in range(rng.integers(0, 4))]
        labels = rng.choice(CLASSES[:-1], size=len(annotated)).tolist()
        for masks, category_id in zip(annotated, labels, strict=True):
            crowd = crowds and rng.random() < 0.3
            tracks.append(track_of(len(tracks), video_id, category_id, masks, crowd))
        if rng.random() < 0.9:
            many = 130 if rng.random() < 0.1 else int(rng.integers(0, 9))
            predicted = [_random_detection(rng, video, annotated, labels) for _ in range(many)]
            predictions.append(tracks_of(video_id, *predicted))
    return set_of(sorted(videos, key=lambda v: v.id), tracks), predictions


def _random_detection(rng, video, annotated, labels):
    score = float(rng.random()) if rng.random() < 0.5 else float(rng.integers(0, 4)) / 4  # many ties
    if not annotated or rng.random() < 0.2:
        return int(rng.choice(CLASSES)), score, _random_masks(rng, video)
    copied = int(rng.integers(len(annotated)))
    category_id = labels[copied] if rng.random() < 0.85 else int(rng.choice(CLASSES))
    noise = float(rng.choice([0.0, 0.02, 0.1, 0.3]))
    masks = [None if m is None else m ^ (rng.random(m.shape) < noise) for m in annotated[copied]]
    return category_id, score, [None if rng.random() < 0.1 else m for m in masks]


def _random_masks(rng, video):
    shape = (video.height, video.width)
    kind = rng.choice(["box", "box", "box", "speckle", "full", "empty"])
    masks = []
    for _ in range(len(video)):
        mask = np.zeros(shape, dtype=bool)
        if kind == "box":
            top, left = (int(rng.integers(0, n - 2)) for n in shape)
            mask[top : top + int(rng.integers(1, 12)), left : left + int(rng.integers(1, 12))] = True
        elif kind == "speckle":
            mask = rng.random(shape) < 0.4
        mask |= kind == "full"
        masks.append(None if rng.random() < 0.15 else mask)
    return masks
