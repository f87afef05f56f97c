"""The tiny stream of the tests: four classes, two of them in step 0; and runs on it that take seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cvis.engine.config import Config
from cvis.engine.resolve import resolve
from cvis.testing.stream import COLOURS, FRAMES, HEIGHT, WIDTH, make_stream
from cvis.types import Video

__all__ = [
    "CLASSES", "COLOURS", "FRAMES", "HEIGHT", "SMALL", "SMALL_MODEL", "WIDTH", "make_data", "noise_video", "settings"
]  # fmt: skip

CLASSES = tuple(COLOURS)[:4]
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
SMALL_MODEL = dict(
    type="mask2former",
    backbone=dict(type="ConvBackbone", widths=(8, 16, 16, 16)),
    in_channels=(8, 16, 16, 16),
    strides=(2, 4, 8, 16),
    dim=32,
    num_queries=6,
    levels=2,
    pixel_decoder=dict(layers=1, heads=4, points=2, feedforward=32),
    decoder=dict(layers=2, heads=4, feedforward=32),
    criterion=dict(num_points=64),
    test=dict(short_side=32),
    size_divisor=16,
)
"""A Mask2Former that is built in no time."""


def make_data(root: Path, train_videos: int = 12, test_videos: int = 4) -> Path:
    """Write ``train.json``, ``test.json`` and their frames; returns the scenario's toml file."""
    return make_stream(root, (2, 1, 1), train_videos, test_videos)


def settings(scenario: Path, runs: Path, learner: str = "finetune", *overrides: str, **more) -> Config:
    """A resolved configuration that trains in well under a second a step."""
    return resolve(str(scenario), learner, overrides=(f"runtime.runs={runs}", *SMALL, *overrides), **more)


def noise_video(folder: Path, frames: int, more: float) -> Video:
    """Frames of 32 x 48 pixels of noise, of a deviation of 40 and in each frame ``more``."""
    noise, paths = np.random.default_rng(0), [folder / f"{t}.png" for t in range(frames)]
    for t, path in enumerate(paths):
        Image.fromarray(np.uint8(noise.normal(128, 40 + more * t, (32, 48, 3)).clip(0, 255))).save(path)
    return Video(1, "v", 32, 48, tuple(paths))
