"""A stream so small that a whole run takes seconds: bright rectangles on dark noise, 32 x 48 pixels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 200, 40),
    "blue": (50, 60, 230),
    "grey": (150, 150, 150),
    "yellow": (220, 220, 40),
    "cyan": (40, 210, 210),
    "magenta": (210, 40, 210),
    "white": (250, 250, 250),
}
"""The classes, in the order in which a stream learns them; their ids count from 1."""
FRAMES, HEIGHT, WIDTH = 3, 32, 48


def make_stream(root: Path, steps: Sequence[int], train_videos: int = 12, test_videos: int = 4) -> Path:
    """Write ``train.json``, ``test.json`` and their frames; returns the scenario's toml file.

    Args:
        steps: new classes of each step.
    """
    classes = list(COLOURS)[: sum(steps)]
    for part, count in (("train", train_videos), ("test", test_videos)):
        _write_part(root, part, count, classes)
    scenario = root / "tiny.toml"
    lines = (
        'name = "tiny"',
        'dataset = "custom"',
        f"base = {steps[0]}",
        f"increment = {list(steps[1:])}",
        f"order = {json.dumps(classes)}",
        'split = "test-file"',
        'annotations = "train.json"',
        'frames = "train"',
        'test_annotations = "test.json"',
        'test_frames = "test"',
    )
    scenario.write_text("\n".join(lines) + "\n")
    return scenario


def poisoned(scenario: Path, root: Path, own: Collection[int], old: Collection[int]) -> Path:
    """A copy of a stream in ``root`` whose annotations are right for the classes ``own`` alone.

    All other masks, and all of the test part, are turned around. Classes that are not even ``old`` trade names, too.
    A step with the classes ``own`` sees the same videos and tracks in both.
    """
    shutil.copytree(scenario.parent, root)
    for part in ("train", "test"):
        file = root / f"{part}.json"
        content = json.loads(file.read_text())
        future = [c["id"] for c in content["categories"] if c["id"] not in {*own, *old}]
        for annotation in content["annotations"]:
            category = annotation["category_id"]
            if part == "train" and category in own:
                continue
            for segmentation in annotation["segmentations"]:
                segmentation["counts"] = _turned(segmentation["counts"])
            if category in future:
                annotation["category_id"] = future[(future.index(category) + 1) % len(future)]
        file.write_text(json.dumps(content))
    return root / scenario.name


def _turned(counts: list[int]) -> list[int]:
    """The run lengths of a mask turned by half a turn; they begin with a run of zeros.

    >>> _turned([2, 3]), _turned([2, 3, 1])
    ([0, 3, 2], [1, 3, 2])
    """
    return [0] * (len(counts) % 2 == 0) + counts[::-1]


def _write_part(root: Path, part: str, count: int, classes: Sequence[str]) -> None:
    rng = np.random.default_rng([count, len(part)])
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for n in range(count):
        names = [f"v{n:03d}/{t}.jpg" for t in range(FRAMES)]
        own = [n % len(classes), (n + 1) % len(classes)]  # two neighbouring classes in every video
        frames = rng.integers(0, 30, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
        for k, category in enumerate(own):
            top, left = int(rng.integers(0, HEIGHT - 14)), k * 24 + int(rng.integers(0, 6))
            masks = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
            for t in range(FRAMES):
                masks[t, top + t : top + t + 12, left : left + 14] = 1
                frames[t][masks[t] > 0] = COLOURS[classes[category]]
            annotations.append(_annotation(len(annotations) + 1, n + 1, category + 1, masks))
        for t, name in enumerate(names):
            path = root / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), frames[t][..., ::-1])
        videos.append(dict(id=n + 1, width=WIDTH, height=HEIGHT, length=FRAMES, file_names=names))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
    content = dict(videos=videos, annotations=annotations, categories=categories)
    (root / f"{part}.json").write_text(json.dumps(content))


def _annotation(number: int, video: int, category: int, masks: np.ndarray) -> dict[str, Any]:
    segmentations = []
    for mask in masks:
        flat = mask.ravel(order="F")
        ends = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff(np.concatenate(([0], ends, [flat.size]))).tolist()
        segmentations.append(dict(size=list(mask.shape), counts=[0, *runs] if flat[0] else runs))
    areas = [int(mask.sum()) for mask in masks]
    boxes = [[0, 0, 1, 1]] * len(masks)
    return dict(id=number, video_id=video, category_id=category, iscrowd=0, segmentations=segmentations,
                areas=areas, bboxes=boxes, height=HEIGHT, width=WIDTH, length=len(masks))  # fmt: skip
