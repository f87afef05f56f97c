"""A run as a whole, for those who watch it: what it is, how far it is, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size

from cvis.engine.config import Config
from cvis.engine.progress import Work
from cvis.scenario import Scenario


@dataclass(frozen=True)
class Whole:
    """The steps of a run.

    Attributes:
        iterations: of each step.
        test_videos: that a process predicts after every step, on average.
    """

    iterations: tuple[int, ...]
    test_videos: int

    def training(self, step: int, finished: Sequence[Mapping[str, Any]]) -> Work:
        """The training of a step, after it the tests, which will take as long as the last one did."""
        tests = len(self.iterations) - step
        seconds = finished[-1]["eval_s"] * tests if finished else None
        return Work(self._name(step, "train"), sum(self.iterations[step + 1 :]), seconds)

    def testing(self, step: int, train_s: float, first: int) -> Work:
        """The test of the steps from ``first`` to ``step``, after it the training of the others, which will take as
        long as this one's did."""
        later = sum(self.iterations[step + 1 :])
        tests = len(self.iterations) - step - 1
        name = self._name(step, "test") if first == step else f"steps {first} to {step} test"
        return Work(name, tests * self.test_videos, train_s / self.iterations[step] * later)

    def _name(self, step: int, what: str) -> str:
        return f"step {step} ({step + 1} of {len(self.iterations)}) {what}"


def whole(config: Config, scenario: Scenario, stream: Scenario) -> Whole:
    """The steps of ``stream``, which is the scenario or, of joint training, all of it at once."""
    phases = (config.schedule.phase(task.is_base, stream.is_merged, len(scenario)) for task in stream)
    return Whole(tuple(phase.iterations for phase in phases), -(-len(scenario.test) // get_world_size()))


def header(config: Config, scenario: Scenario, folder: Path, device: torch.device, amp: bool) -> str:
    """What is about to be run, on what, and where to."""
    threads = torch.get_num_threads()
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, threads: {threads}"
    names = config.names
    return (
        f"{names.run} with {names.segmenter} on {scenario.name}, seed {config.runtime.seed}: "
        f"{len(scenario)} steps, {len(scenario.classes)} classes\n"
        f"device {place}{', bf16' if amp else ''}; folder {folder}"
    )
