"""The tiny stream of the tests: four classes, two of them in step 0; and runs on it that take seconds."""

from __future__ import annotations

from pathlib import Path

from cvis.engine.config import Config
from cvis.engine.resolve import resolve
from cvis.testing.stream import COLOURS, FRAMES, HEIGHT, WIDTH, make_stream

__all__ = ["CLASSES", "COLOURS", "FRAMES", "HEIGHT", "SMALL", "WIDTH", "make_data", "settings"]

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


def make_data(root: Path, train_videos: int = 12, test_videos: int = 4) -> Path:
    """Write ``train.json``, ``test.json`` and their frames; returns the scenario's toml file."""
    return make_stream(root, (2, 1, 1), train_videos, test_videos)


def settings(scenario: Path, runs: Path, learner: str = "finetune", *overrides: str, **more) -> Config:
    """A resolved configuration that trains in well under a second a step."""
    return resolve(str(scenario), learner, overrides=(f"runtime.runs={runs}", *SMALL, *overrides), **more)
