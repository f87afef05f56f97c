"""A small, valid annotation file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

HEIGHT, WIDTH = 4, 6


def mask(*pixels: tuple[int, int]) -> np.ndarray:
    """A mask with these (row, column) set."""
    full = np.zeros((HEIGHT, WIDTH), np.uint8)
    for pixel in pixels:
        full[pixel] = 1
    return full


def runs(full: np.ndarray) -> list[int]:
    """Uncompressed COCO runs, counted one pixel after another, column by column."""
    counts, current = [0], 0
    for pixel in full.T.reshape(-1).tolist():
        if pixel != current:
            counts.append(0)
            current = pixel
        counts[-1] += 1
    return counts


def rle(*pixels: tuple[int, int]) -> dict:
    return {"size": [HEIGHT, WIDTH], "counts": runs(mask(*pixels))}


def small() -> dict:
    """Two videos, three tracks, two categories; ids 0 on purpose."""
    videos = [
        {"id": 7, "height": HEIGHT, "width": WIDTH, "length": 2, "file_names": ["b/0.jpg", "b/1.jpg"]},
        {"id": 0, "height": HEIGHT, "width": WIDTH, "length": 3, "file_names": ["a/0.jpg", "a/1.jpg", "a/2.jpg"]},
    ]
    categories = [{"id": 5, "name": "cat"}, {"id": 0, "name": "dog"}]
    annotations = [
        {
            "id": 3,
            "video_id": 0,
            "category_id": 0,
            "segmentations": [None, rle((1, 1), (1, 2)), rle((0, 0))],
            "areas": [None, 2, 1],
        },
        {"id": 0, "video_id": 0, "category_id": 5, "iscrowd": 1, "segmentations": [rle((3, 5)), None, None]},
        {"id": 9, "video_id": 7, "category_id": 5, "segmentations": [rle((2, 2)), rle((2, 3))], "areas": [1, 1]},
    ]
    return {"videos": videos, "categories": categories, "annotations": annotations}


def write(folder: Path, raw: object) -> Path:
    path = folder / "instances.json"
    path.write_text(json.dumps(raw))
    return path
