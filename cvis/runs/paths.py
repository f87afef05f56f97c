"""The layout of a run on disk. No other file spells the name of a file that a run leaves behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SCHEMA = 1
"""Of ``run.json`` and of both kinds of ``metrics.json``; a file with another number is of another version of cvis."""
STEP_NAME = re.compile(r"step(\d+)")


@dataclass(frozen=True)
class StepFolder:
    """``step<t>``: what one step leaves behind."""

    path: Path

    @property
    def index(self) -> int:
        return int(self.path.name.removeprefix("step"))

    @property
    def metrics(self) -> Path:
        """The step's numbers; the last of its files to appear."""
        return self.path / "metrics.json"

    @property
    def trained(self) -> Path:
        """What is known of a step that was trained, behind its model, until it is tested."""
        return self.path / "trained.json"

    @property
    def is_trained(self) -> bool:
        return self.metrics.is_file() or self.trained.is_file()

    @property
    def model(self) -> Path:
        """The tensors that the step added or changed."""
        return self.path / "model.pth"

    @property
    def predictions(self) -> Path:
        """The tracks of all test videos."""
        return self.path / "predictions.json.gz"

    @property
    def digest(self) -> Path:
        """What the evaluator knows of the predictions, without their masks: for intervals over videos."""
        return self.path / "digest.npz"

    @property
    def checkpoint(self) -> Path:
        """The state inside the step; removed when the step is finished."""
        return self.path / "last.pth"


@dataclass(frozen=True)
class RunFolder:
    """``<runs>/<scenario>/<segmenter>/<learner>/seed<k>``: one learner on one stream with one seed."""

    path: Path

    @property
    def record(self) -> Path:
        """How the run is made: configuration, command, code, machine, times."""
        return self.path / "run.json"

    @property
    def config(self) -> Path:
        """The configuration for people to read; cvis reads it of old runs only, as literals, and never runs it."""
        return self.path / "config.py"

    @property
    def metrics(self) -> Path:
        """All that tables are made from; there once the run is finished."""
        return self.path / "metrics.json"

    @property
    def stream(self) -> Path:
        """The file of a stream that cvis does not ship; in bundles only."""
        return self.path / "scenario.toml"

    @property
    def queries(self) -> Path:
        return self.path / "queries.npz"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    def step(self, index: int) -> StepFolder:
        return StepFolder(self.path / f"step{index}")

    def steps(self) -> list[StepFolder]:
        """Those on disk, finished or not, in their order."""
        folders = [StepFolder(path) for path in self.path.glob("step*") if STEP_NAME.fullmatch(path.name)]
        return sorted(folders, key=lambda step: step.index)
