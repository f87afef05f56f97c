"""A stream so small that a whole run takes seconds: bright rectangles, four classes, 32 x 48 pixels."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from cvis.engine.config import Config
from cvis.engine.resolve import resolve

CLASSES = ("red", "green", "blue", "grey")
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (50, 60, 230), "grey": (150, 150, 150)}
FRAMES, HEIGHT, WIDTH = 3, 32, 48
SMALL = (
    "runtime.device=cpu",
    "runtime.loggers=[]",
    "runtime.checkpoint_every=2",
    "schedule.batch_size=2",
    "schedule.base.iterations=6",
    "schedule.incremental.iterations=4",
    "sampling.short_sides=[32]",
    "segmenter.num_queries=6",
    "segmenter.criterion.num_points=64",
    "segmenter.test.short_side=32",
)
"""Settings of a run of seconds."""


def make_data(root: Path, train_videos: int = 12, test_videos: int = 4) -> Path:
    """Write ``train.json``, ``test.json`` and their frames; returns the scenario's toml file."""
    for part, count in (("train", train_videos), ("test", test_videos)):
        _write_part(root, part, count)
    scenario = root / "tiny.toml"
    lines = (
        'name = "tiny"',
        'dataset = "custom"',
        "base = 2",
        "increment = 1",
        f"order = {json.dumps(CLASSES)}",
        'split = "test-file"',
        'annotations = "train.json"',
        'frames = "train"',
        'test_annotations = "test.json"',
        'test_frames = "test"',
    )
    scenario.write_text("\n".join(lines) + "\n")
    return scenario


def settings(scenario: Path, runs: Path, learner: str = "finetune", *overrides: str, **more) -> Config:
    """A resolved configuration that trains in well under a second a step."""
    return resolve(str(scenario), learner, overrides=(f"runtime.runs={runs}", *SMALL, *overrides), **more)


def _write_part(root: Path, part: str, count: int) -> None:
    rng = np.random.default_rng([count, len(part)])
    videos, annotations = [], []
    for n in range(count):
        names = [f"v{n:03d}/{t}.jpg" for t in range(FRAMES)]
        own = [n % len(CLASSES), (n + 1) % len(CLASSES)]  # two neighbouring classes in every video
        frames = rng.integers(0, 30, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
        for k, category in enumerate(own):
            top, left = int(rng.integers(0, HEIGHT - 14)), k * 24 + int(rng.integers(0, 6))
            masks = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
            for t in range(FRAMES):
                masks[t, top + t : top + t + 12, left : left + 14] = 1
                frames[t][masks[t] > 0] = COLOURS[CLASSES[category]]
            annotations.append(_annotation(len(annotations) + 1, n + 1, category + 1, masks))
        for t, name in enumerate(names):
            path = root / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), frames[t][..., ::-1])
        videos.append(dict(id=n + 1, width=WIDTH, height=HEIGHT, length=FRAMES, file_names=names))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    content = dict(videos=videos, annotations=annotations, categories=categories)
    (root / f"{part}.json").write_text(json.dumps(content))


def _annotation(number: int, video: int, category: int, masks: np.ndarray) -> dict:
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
