"""Two runs side by side, without what differs from hour to hour."""

import json
from pathlib import Path

import torch

from cvis.engine import checkpoint

TIMES = ("train_s", "eval_s", "peak_mem_mb")


def metrics(folder: Path) -> dict:
    """A run's metrics without its name and what differs from machine to machine and from hour to hour."""
    content = json.loads((folder / "metrics.json").read_text())
    for key in ("learner", "label"):
        content.pop(key)
    for step in content["steps"]:
        for key in TIMES:
            step.pop(key)
    return content


def weights(folder: Path, steps: int = 3) -> dict:
    return checkpoint.overlay([folder / f"step{i}" / "model.pth" for i in range(steps)])


def assert_same_run(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for step in range(3):
        file = f"step{step}/predictions.json.gz"
        assert (one / file).read_bytes() == (other / file).read_bytes()
