"""A trained run at work on videos of the user's own: its model is built again, its data set is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvis.data.videoset import VideoSet
from cvis.engine import checkpoint
from cvis.engine.environment import select_device, use_amp
from cvis.engine.evaluate import predict_videos
from cvis.learners import Learner, build_learner
from cvis.runs.open import open_run
from cvis.runs.result import RunResult
from cvis.scenario import Task
from cvis.segmenters import build_segmenter
from cvis.types import Category, Tracks, Video


@dataclass(frozen=True)
class TrainedRun:
    """The model of a run as one of its steps left it.

    Attributes:
        name: of the run, as in tables.
        classes: id -> name of the classes learned by then, in learning order.
        amp: predict in bf16, as the run did.
    """

    folder: Path
    name: str
    step: int
    classes: dict[int, str]
    learner: Learner
    amp: bool

    def predict(self, videos: Sequence[Video]) -> list[Tracks]:
        """The tracks of every video, in the order of the videos.

        Raises:
            UserError: a frame is missing or damaged.
        """
        return predict_videos(self.learner, videos, f"step {self.step} predict", self.amp)


def load_trained(folder: Path, step: int | None = None, device: str = "auto") -> TrainedRun:
    """Build the model of a finished run as its step ``step`` left it (default: the last).

    As when a run is resumed: ``begin_task`` of the steps is replayed, then what was learned is loaded. All that is
    known of the classes comes from the run's ``metrics.json``: its data set is not needed.

    Raises:
        UserError: not a finished run, no such step, a file that is missing or damaged, or no such device.
    """
    run = open_run(folder)
    step = run.result.step_at(step)
    tasks = _tasks(run.result)[: step + 1]
    place = select_device(device)
    learner = build_learner(run.config["learner"], build_segmenter(run.config["segmenter"])).to(place)
    for task in tasks:
        learner.eval()  # as the engine does: what a step makes may depend on the mode
        learner.begin_task(task)
        learner.to(place)
    files = [run.folder.step(task.index).model for task in tasks]
    checkpoint.load_state(learner, checkpoint.overlay(files), files[-1])
    classes = {c: run.result.classes[c] for c in tasks[-1].seen_classes}
    return TrainedRun(folder, run.name, step, classes, learner.eval(), use_amp(run.config["runtime"]["amp"], place))


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
