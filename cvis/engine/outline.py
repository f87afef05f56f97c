"""What a run would do, before it does it: its steps, and how long it takes, from runs timed on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from cvis.engine.config import Config
from cvis.engine.environment import describe_environment, select_device, use_amp
from cvis.engine.pace import like, measured, seconds
from cvis.engine.store import StepZero, recipe
from cvis.learners import find_learner
from cvis.runs.open import scenario_of
from cvis.scenario import Scenario

SAME_MACHINE = ("platform", "device", "gpu", "threads")
"""Of a run's environment: what must be equal for its times to be this machine's."""


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
    here = describe_environment(device)
    top = Path(config.runtime.runs) / scenario.name / config.names.segmenter
    paces = like(measured([top], {key: here[key] for key in SAME_MACHINE}, config.names.run), config)
    base = sum(step.iterations for step in steps if step.index == 0 and not step.shared)
    later = sum(step.iterations for step in steps if step.index)
    return Outline(scenario, device, steps, seconds(paces, base, later, len(steps)) if paces else None, len(paces))
