"""A learner on the tiny stream: trained as the engine trains, a phase at a time, and looked at in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cvis.engine import checkpoint
from cvis.engine.config import Config
from cvis.engine.environment import derive_seed, seed_everything
from cvis.engine.evaluate import predict_videos
from cvis.engine.resolve import resolve
from cvis.engine.tasks import begin_task, end_task
from cvis.engine.trackers import build_visualizer
from cvis.engine.train import clip_sampling, train_step, training_clips
from cvis.learners import Learner, build_learner, find_learner
from cvis.learners.finetune import FineTune
from cvis.scenario import Task, load_scenario
from cvis.segmenters import build_segmenter
from cvis.testing.check import Failed, NotApplicable, said
from cvis.testing.plain import plain_state
from cvis.testing.stream import make_stream, poisoned
from cvis.types import Clip, Tracks

STEPS = (2, 1, 5)
"""New classes of each step: one alone, a pair, and many."""
ITERATIONS = 2
CPU = torch.device("cpu")
SMALL = (
    "runtime.device=cpu",
    "runtime.workers=0",
    "runtime.loggers=[]",
    "runtime.checkpoint_every=1",
    "schedule.batch_size=2",
    f"schedule.base.iterations={ITERATIONS}",
    f"schedule.incremental.iterations={ITERATIONS}",
    f"schedule.joint.iterations={ITERATIONS}",
    "schedule.scale=1.0",
    "sampling.short_sides=[32]",
)
_SMALL_QUERIES = (
    "segmenter.decoder.layers=2",
    "segmenter.pixel_decoder.layers=1",
    "segmenter.criterion.num_points=64",
    "segmenter.test.short_side=32",
)
SMALLER = {  # a shipped model can be so small that a check of it takes seconds
    "mask2former_tiny": _SMALL_QUERIES,
    "ctvis_tiny": _SMALL_QUERIES,
    "vistr_tiny": (
        "segmenter.encoder.layers=1",
        "segmenter.decoder.layers=2",
        "segmenter.test.short_side=32",
    ),
    "crossvis_tiny": ("segmenter.num_identities=40", "segmenter.test.short_side=32"),
    "st_pyramid_tiny": (
        "segmenter.dim=16",
        "segmenter.pyramid.widths=[16,16,16]",
        "segmenter.clustering.most=3",
        "segmenter.num_frames=3",
        "sampling.num_frames=3",
        "segmenter.test.short_side=32",
    ),
}


class Interrupted(BaseException):
    """Stands for a process that dies: nothing in the engine may catch it."""


@dataclass(frozen=True)
class Step:
    """What is kept of a step that was begun, trained and ended."""

    task: Task
    state: dict[str, Any]  # copies of state_dict
    plain: dict[str, Any]  # see cvis.testing.plain
    tracks: list[Tracks]  # of the test part, which is one video


class Trial:
    """One learner with its settings, and the stream that it is tried on.

    Args:
        learner: as ``cvis run --learner`` takes it.
        segmenter: as ``--segmenter`` takes it.
        settings: as ``--set`` takes them.
        folder: an empty one.
    """

    def __init__(self, learner: str, segmenter: str, settings: Sequence[str], folder: Path) -> None:
        self.folder = folder
        stream = folder / "stream"
        stream.mkdir()
        self.file = make_stream(stream, STEPS, test_videos=1)
        overrides = (*SMALL, *SMALLER.get(segmenter, ()), *settings)
        self.config: Config = resolve(str(self.file), learner, segmenter, "tiny", overrides)
        self.kind = find_learner(learner)
        self.scenario = load_scenario(self.file)
        self.tasks = self.kind.stream(self.scenario).tasks
        self._error: Exception | None = None
        self.where = ""
        self.kept: dict[str, str] = {}  # what checks find out once for several of them
        self.authors = {self.kind.__module__.split(".")[0]}
        self._step0: dict[str, Tensor] | None = None

    @cached_property
    def steps(self) -> list[Step]:
        """The undisturbed run; where it breaks, ``error`` says why, and ``where``."""
        return list(self._undisturbed())

    @property
    def error(self) -> Exception | None:
        """What broke the undisturbed run."""
        return None if len(self.steps) == len(self.tasks) else self._error

    @property
    def whole(self) -> list[Step]:
        """All steps of the undisturbed run.

        Raises:
            NotApplicable: it broke, which another check says.
        """
        if len(self.steps) < len(self.tasks):
            raise NotApplicable("the stream could not be trained to its end")
        return self.steps

    @cached_property
    def own(self) -> int:
        """The first step that the method trains its own way: step 0 is plain training for those that share it."""
        return 0 if len(self.tasks) == 1 or self.build().own_step0 else 1

    @property
    def incremental(self) -> int:
        """Step 1, or step 0 of a learner that has no other."""
        return min(1, len(self.tasks) - 1)

    def build(self) -> Learner:
        """The learner before its first step."""
        seed_everything(derive_seed(self.config.runtime.seed, "init"))
        learner = build_learner(self.config.learner, build_segmenter(self.config.segmenter))
        learner.sampling = clip_sampling(self.config)
        return learner

    def rebuilt(self, index: int, tasks: Sequence[Task] | None = None) -> Learner:
        """A new learner at the beginning of step ``index``, as a resumed run makes it.

        Args:
            tasks: to go through in place of the stream's.

        Raises:
            Failed: that is not possible; said once.
            NotApplicable: it was said already, or see ``whole``.
        """
        done = self.whole
        tasks = self.tasks if tasks is None else tasks
        if "rebuilt" in self.kept:
            raise NotApplicable("a resumed run cannot be set up, which another check says")
        try:
            learner = self.build()
            for task in tasks[:index]:
                begin_task(learner, task, self.config, CPU)
            if index:
                checkpoint.load_state(learner, done[index - 1].state, self.folder / f"step{index - 1}")
            begin_task(learner, tasks[index], self.config, CPU)
        except Exception as error:  # an author's code may fail in any way
            self.kept["rebuilt"] = "not possible"
            remedy = "begin_task must need nothing that training or end_task left in plain attributes"
            what = f"begin_task of steps 0 to {index}, as a resumed run calls it: {said(error, self.authors)}"
            raise Failed(f"{what}; {remedy}") from error
        return learner

    def train(self, learner: Learner, task: Task, resumed: bool = False) -> None:
        """Train a step that was begun, as the engine does; ``resumed``: go on from the last checkpoint."""
        shared = task.is_base and not learner.own_step0
        if shared and self._step0 is not None:
            learner.segmenter.load_state_dict(self._step0)
            return
        trainee = FineTune(learner.segmenter) if shared else learner
        last = checkpoint.load(self._last) if resumed else None
        if last is not None:
            checkpoint.load_state(trainee, last["learner"], self._last)
        schedule = self.config.schedule
        phase = schedule.phase(task.is_base, len(self.tasks) < len(STEPS), len(STEPS))
        visualizer = build_visualizer([], self.folder)
        train_step(trainee, task, phase, self.config, CPU, False, self._last, visualizer, last)
        if shared:
            self._step0 = checkpoint.snapshot(learner.segmenter.state_dict())

    def finish(self, learner: Learner, task: Task) -> Step:
        """End a step that was trained."""
        end_task(learner, task, self.config)
        plain = plain_state(learner)
        tracks = predict_videos(learner, self.scenario.test.videos, "test", amp=False)
        return Step(task, checkpoint.snapshot(learner.state_dict()), plain, tracks)

    def clip(self, task: Task, learner: Learner) -> Clip:
        """A training batch of a step, the same at every call."""
        return next(iter(training_clips(learner, task, self.config, CPU, ITERATIONS)))

    def poisoned(self, index: int, old_too: bool) -> tuple[Task, ...]:
        """The stream with wrong annotations of all but step ``index``'s classes; ``old_too``: of old ones as well."""
        task = self.tasks[index]
        own = task.new_classes if old_too else task.seen_classes
        file = poisoned(self.file, self.folder / "poisoned", own, task.old_classes)
        return self.kind.stream(load_scenario(file)).tasks

    def _undisturbed(self) -> Iterator[Step]:
        with self._noting_errors("__init__"):
            learner = self.build()
            for task in self.tasks:
                where = f"step {task.index}, with {len(task.new_classes)} new classes"
                self.where = f"begin_task of {where}"
                begin_task(learner, task, self.config, CPU)
                self.where = f"training {where}"
                self.train(learner, task)
                self.where = f"end_task or predict of {where}"
                yield self.finish(learner, task)

    @contextmanager
    def _noting_errors(self, where: str) -> Iterator[None]:
        self.where = where
        try:
            yield
        except Exception as error:  # an author's code may fail in any way
            self._error = error

    @property
    def _last(self) -> Path:
        return self.folder / "last.pth"


@contextmanager
def dying_after(learner: Learner, iterations: int) -> Iterator[None]:
    """The learner's process dies when it asks for the loss after so many iterations."""
    original: Callable[[Clip], dict[str, Tensor]] = learner.loss
    calls = iter(range(iterations))

    def loss(clip: Clip) -> dict[str, Tensor]:
        if next(calls, None) is None:
            raise Interrupted
        return original(clip)

    learner.loss = loss  # type: ignore[method-assign]
    try:
        yield
    except Interrupted:
        pass
    finally:
        del learner.loss
