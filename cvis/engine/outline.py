"""What a run would do, before it does it: its steps, and how long it takes, from runs timed on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from cvis.engine.config import Config, Schedule
from cvis.engine.environment import describe_environment, select_device, use_amp
from cvis.engine.store import StepZero, recipe
from cvis.errors import UserError
from cvis.learners import find_learner
from cvis.runs.find import candidates
from cvis.runs.open import OpenRun, open_run, scenario_of
from cvis.runs.protocol import flat
from cvis.runs.record import finished_steps
from cvis.scenario import Scenario

SAME_MACHINE = ("platform", "device", "gpu", "threads")
"""Of a run's environment: what must be equal for its times to be this machine's."""
MOST_RUNS = 50
"""That are looked at for their times."""


@dataclass(frozen=True)
class Step:
    """One step of a run to be made."""

    index: int
    new_classes: int
    train_videos: int
    iterations: int
    shared: bool  # a model of its recipe is stored already, and taken


@dataclass(frozen=True)
class Outline:
    """A run to be made.

    Attributes:
        seconds: that it may take; None where no run like it was timed here.
        timed: the number of runs that this is told from.
    """

    scenario: Scenario
    device: torch.device
    steps: tuple[Step, ...]
    seconds: float | None
    timed: int


def outline(config: Config) -> Outline:
    """Load the stream of a configuration and say what a run of it would do.

    Raises:
        UserError: the stream or its data set does not exist, or there is no such device.
    """
    device = select_device(config.runtime.device, config.runtime.launcher)
    scenario = scenario_of(config.model_dump(mode="json"))
    learner = find_learner(config.learner["type"])
    stream = learner.stream(scenario)
    amp = use_amp(config.runtime.amp, device)
    zero = StepZero(Path(config.runtime.runs), recipe(config, stream[0], device, amp), config.runtime.shipped_step0)
    steps = tuple(
        Step(
            index=task.index,
            new_classes=len(task.new_classes),
            train_videos=len(task.train),
            iterations=config.schedule.phase(task.is_base, stream.is_merged, len(scenario)).iterations,
            shared=task.is_base and not learner.own_step0 and zero.source is not None,
        )
        for task in stream
    )
    paces = list(_paces(config, scenario.name, device))
    own = [pace for pace in paces if pace.learner == config.names.learner] or paces
    seconds = _seconds(steps, own) if own else None
    return Outline(scenario, device, steps, seconds, len(own))


@dataclass(frozen=True)
class _Pace:
    """What a finished run took: seconds an iteration in step 0 and in later ones, and seconds a test."""

    learner: str
    base: float
    later: float
    test: float


def _seconds(steps: Sequence[Step], paces: Sequence[_Pace]) -> float:
    base, later, test = (median(values) for values in zip(*((p.base, p.later, p.test) for p in paces), strict=True))
    training = sum(0.0 if s.shared else s.iterations * (later if s.index else base) for s in steps)
    return training + test * len(steps)


def _paces(config: Config, scenario: str, device: torch.device) -> Iterator[_Pace]:
    """Of runs on the same stream in the same folder, with the same model, clips and batches, on this machine."""
    here = describe_environment(device)
    top = Path(config.runtime.runs) / scenario
    found = [path for path in candidates([top]) if isinstance(path, Path) and path.is_file()] if top.is_dir() else []
    for path in sorted(found, key=lambda path: config.names.run not in path.parts)[:MOST_RUNS]:  # its own first
        try:
            run = open_run(path.parent)
            place = run.record.get("environment")
            if not isinstance(place, dict) or any(place.get(key) != here[key] for key in SAME_MACHINE):
                continue
            if _load(run.config) == _load(config.model_dump(mode="json")):
                yield _pace(run)
        except (UserError, KeyError, TypeError, ValueError, ZeroDivisionError):  # an older run, or a damaged one
            continue


def _load(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides how long an iteration takes, beside the learner."""
    return config["segmenter"], flat(config["sampling"]), config["schedule"]["batch_size"]


def _pace(run: OpenRun) -> _Pace:
    steps = finished_steps(run.folder)
    schedule = Schedule.model_validate(run.config["schedule"])
    joint = run.result.upper_bound
    each = [
        step["train_s"] / schedule.phase(index == 0, joint, len(run.result.groups)).iterations
        for index, step in enumerate(steps)
    ]
    return _Pace(
        run.config["names"]["learner"], each[0], median(each[1:] or each), median(step["eval_s"] for step in steps)
    )
