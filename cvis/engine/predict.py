"""A trained run at work on videos of the user's own: its model is built again, its data set is not needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.data.videoset import VideoSet
from cvis.engine import checkpoint
from cvis.engine.environment import select_device
from cvis.engine.evaluate import predict_videos
from cvis.engine.stored import stored_config
from cvis.engine.train import use_amp
from cvis.errors import UserError
from cvis.learners import Learner, build_learner
from cvis.scenario import Task
from cvis.segmenters import build_segmenter
from cvis.types import Category, Tracks, Video


@dataclass(frozen=True)
class TrainedRun:
    """The model of a run as one of its steps left it.

    Attributes:
        classes: id -> name of the classes learned by then, in learning order.
        amp: predict in bf16, as the run did.
    """

    folder: Path
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
    known of the classes comes from the run's ``metrics.json``.

    Raises:
        UserError: not a finished run, no such step, a file that is missing or damaged, or no such device.
    """
    config = stored_config(folder)
    content = _metrics(folder)
    tasks = _tasks(folder, content)
    last = len(tasks) - 1
    step = last if step is None else step
    if not 0 <= step <= last:
        raise UserError(f"--step {step}: {folder} has the steps 0 to {last}; choose one of them")
    place = select_device(device)
    learner = _learner(folder, config).to(place)
    for task in tasks[: step + 1]:
        learner.eval()  # as the engine does: what a step makes may depend on the mode
        learner.begin_task(task)
        learner.to(place)
    files = [folder / f"step{t}" / "model.pth" for t in range(step + 1)]
    checkpoint.load_state(learner, checkpoint.overlay(files), files[-1])
    names = {category.id: category.name for category in tasks[step].train.categories}
    classes = {c: names[c] for c in tasks[step].seen_classes}
    return TrainedRun(folder, step, classes, learner.eval(), use_amp(config["runtime"]["amp"], place))


def _learner(folder: Path, config: dict[str, Any]) -> Learner:
    for key in ("segmenter", "learner"):
        if not isinstance(config.get(key), dict):
            raise UserError(f"{folder / 'config.py'}: {key}: missing or damaged; copy the file from where it was made")
    return build_learner(config["learner"], build_segmenter(config["segmenter"]))


def _metrics(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist: the run is unfinished; run the same `cvis run` again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read: {error}; run the same `cvis run` again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: top level: {type(content).__name__}: not an object; run the same `cvis run` again")
    return content


def _tasks(folder: Path, content: dict[str, Any]) -> list[Task]:
    """The steps of the run without their videos. Old files have no class names: then the ids stand in for them."""
    groups, names = _groups(folder, content), content.get("classes") or {}
    if not isinstance(names, dict):
        raise UserError(f"{folder / 'metrics.json'}: classes: {names!r:.60}: not an object; run `cvis run` again")
    categories = tuple(Category(c, str(names.get(str(c), f"class {c}"))) for own in groups for c in own)
    no_videos = VideoSet(categories, (), {}, sha256="")
    seen: tuple[int, ...] = ()
    tasks = []
    for t, own in enumerate(groups):
        tasks.append(Task(t, own, seen, no_videos, hidden=0))
        seen += own
    return tasks


def _groups(folder: Path, content: dict[str, Any]) -> list[tuple[int, ...]]:
    """The classes that each step of the run learned (joint: all in one)."""
    steps = content.get("steps")
    steps = steps if isinstance(steps, list) else []
    found: list[Any] = [step.get("new_classes") if isinstance(step, dict) else None for step in steps]
    if not found or not all(isinstance(own, list) and all(type(c) is int for c in own) for own in found):
        raise UserError(
            f"{folder / 'metrics.json'}: steps: without the new_classes of each step; run the same `cvis run` again"
        )
    return [tuple(own) for own in found]
