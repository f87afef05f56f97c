"""A trained run at work on videos of the user's own: its model is built again, its data set is not needed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.data.videoset import VideoSet
from cvis.engine import checkpoint
from cvis.engine.environment import select_device, use_amp
from cvis.engine.evaluate import predict_videos
from cvis.engine.resolve import parse_value
from cvis.errors import UserError
from cvis.learners import LEARNERS, Learner, build_learner
from cvis.plugins import Plugins
from cvis.runs.open import OpenRun, open_run
from cvis.runs.record import AGAIN
from cvis.runs.result import RunResult
from cvis.scenario import Task
from cvis.segmenters import SEGMENTERS, build_segmenter
from cvis.types import Category, Tracks, Video

logger = logging.getLogger("cvis")
TEST = "segmenter.test."


@dataclass(frozen=True)
class TrainedRun:
    """The model of a run as one of its steps left it.

    Attributes:
        name: of the run, as in tables.
        classes: id -> name of the classes learned by then, in learning order.
        amp: predict in bf16, as the run did.
        overrides: in what it looks at videos differently from the run.
    """

    folder: Path
    name: str
    step: int
    classes: dict[int, str]
    learner: Learner
    amp: bool
    overrides: tuple[str, ...] = ()

    def predict(self, videos: Sequence[Video]) -> list[Tracks]:
        """The tracks of every video, in the order of the videos.

        Raises:
            UserError: a frame is missing or damaged.
        """
        return predict_videos(self.learner, videos, f"step {self.step} predict", self.amp)


def load_trained(
    folder: Path, step: int | None = None, device: str = "auto", trust: bool = False, overrides: Sequence[str] = ()
) -> TrainedRun:
    """Build the model of a finished run as its step ``step`` left it (default: the last).

    As when a run is resumed: ``begin_task`` of the steps is replayed, then what was learned is loaded. All that is
    known of the classes comes from the run's ``metrics.json``: its data set is not needed.

    Args:
        trust: run the Python files that the run names, if its learner or segmenter is one.
        overrides: ``segmenter.test.key=value``, where the model is to look at videos in another way than in the run.

    Raises:
        UserError: not a finished run, no such step, a file that is missing or damaged, no such device, a Python file
            that is not trusted, or an override of what was trained.
    """
    run = open_run(folder)
    step = run.result.step_at(step)
    for plugins, part in ((LEARNERS, "learner"), (SEGMENTERS, "segmenter")):
        _announce(run, plugins, part, trust)
    tasks = _tasks(run.result)[: step + 1]
    place = select_device(device)
    segmenter = build_segmenter(_tested_by(run.config["segmenter"], overrides))
    learner = build_learner(run.config["learner"], segmenter).to(place)
    for task in tasks:
        learner.eval()  # as the engine does: what a step makes may depend on the mode
        learner.begin_task(task)
        learner.to(place)
    files = [run.folder.step(task.index).model for task in tasks]
    checkpoint.load_state(learner, checkpoint.overlay(files), files[-1])
    classes = {c: run.result.classes[c] for c in tasks[-1].seen_classes}
    amp = use_amp(run.config["runtime"].get("amp", "auto"), place)
    return TrainedRun(folder, run.name, step, classes, learner.eval(), amp, tuple(overrides))


def _tested_by(segmenter: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration of a segmenter with other settings of its tests."""
    test = dict(segmenter.get("test") or {})
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.startswith(TEST) or key == TEST:
            raise UserError(f"--set {override}: is not {TEST}key=value; all else of a trained model stays what it was")
        test[key.removeprefix(TEST)] = parse_value(value)
    return {**segmenter, "test": test} if overrides else segmenter


def _announce(run: OpenRun, plugins: Plugins, part: str, trust: bool) -> None:
    """Say whose code is about to be loaded. The run may be a stranger's: a file that it names is not run unasked."""
    name = run.config[part].get("type")
    where = f"{run.folder.record}: config.{part}.type: {name!r:.200}"
    if not isinstance(name, str):
        raise UserError(f"{where}: is not a name; {AGAIN}")
    if ".py:" in name:
        if not trust:
            raise UserError(f"{where}: is a Python file, which would be run; read it, and give --trust if you trust it")
        logger.warning("running the code of %s %s, which the run names", part, name)
    elif (origin := plugins.origin(name)).package != "cvis":
        logger.warning("running the code of %s %s of package %s %s", part, name, origin.package, origin.version)


def _tasks(run: RunResult) -> list[Task]:
    """The steps of the run without their videos."""
    categories = tuple(Category(c, run.classes[c]) for classes in run.learned for c in classes)
    no_videos = VideoSet(categories, (), {}, sha256="")
    seen: tuple[int, ...] = ()
    tasks = []
    for t, classes in enumerate(run.learned):
        tasks.append(Task(t, classes, seen, no_videos, hidden=0))
        seen += classes
    return tasks
