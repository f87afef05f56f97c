"""What happens around a training iteration: checkpoints, the leakage guard, progress and logging."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cvis.engine import checkpoint
from cvis.engine.environment import peak_memory_mb, restore_rng_state, rng_state
from cvis.engine.progress import Update
from cvis.errors import UserError
from cvis.scenario import Task, audit
from cvis.types import Clip


class CheckpointInStep(Hook):
    """Save everything that the next iteration depends on, and continue from it to the same numbers."""

    priority = "VERY_LOW"  # after the learning-rate schedulers have stepped

    def __init__(self, file: Path, every: int, resume_from: dict[str, Any] | None) -> None:
        self.file = file
        self.every = every
        self.resume_from = resume_from
        self.train_s = resume_from["train_s"] if resume_from else 0.0
        self.begun = time.monotonic()

    def before_train(self, runner: Runner) -> None:
        if self.resume_from is None:
            return
        runner.optim_wrapper.load_state_dict(self.resume_from["optimizer"])
        for scheduler, state in zip(runner.param_schedulers or [], self.resume_from["schedulers"], strict=True):
            scheduler.load_state_dict(state)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Restore the generators last of all: building the data loader draws from them."""
        if self.resume_from is not None:
            restore_rng_state(self.resume_from["rng"])
            self.resume_from = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        iteration = runner.iter + 1
        if iteration % self.every and iteration != runner.max_iters:
            return
        if runner.rank == 0:
            checkpoint.save(self.file, {
                "iteration": iteration,
                "train_s": self.train_s + time.monotonic() - self.begun,
                "learner": unwrap(runner.model).learner.state_dict(),
                "optimizer": runner.optim_wrapper.state_dict(),
                "schedulers": [_plain_state(s) for s in runner.param_schedulers or []],
                "rng": rng_state(),
            })  # fmt: skip


class LeakageGuard(Hook):
    """Run the audit on every batch before it reaches the loss."""

    def __init__(self, task: Task, replays: bool) -> None:
        self.task = task
        self.replays = replays

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Clip | None = None) -> None:
        if data_batch is not None:
            audit([t.category_ids for t in data_batch.targets], self.task, data_batch.names, self.replays)


class FiniteGradients(Hook):
    """A finite loss can have gradients that are not; stop before they are built upon, while the clips are known."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        hub = runner.optim_wrapper.message_hub  # where mmengine's wrapper leaves the norm that it clips
        if "train/grad_norm" not in hub.log_scalars:  # nothing is clipped
            return
        norm = hub.get_scalar("train/grad_norm").current()
        if not math.isfinite(norm):
            raise UserError(
                f"step {self.step}, iteration {runner.iter}: gradient norm is {norm} on clips "
                f"{', '.join(data_batch.names)}; lower schedule.*.lr or look at these clips"
            )


class Report(Hook):
    """Losses to the progress display every iteration and to the trackers every few."""

    EVERY = 10

    def __init__(self, step: int, update: Update, device: torch.device) -> None:
        self.step = step
        self.update = update
        self.device = device

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        loss = float(outputs["loss"])
        self.update(f"loss {loss:.3f} mem {peak_memory_mb(self.device):.0f} MB")
        if runner.rank == 0 and runner.iter % self.EVERY == 0:
            scalars = {f"step{self.step}/{name}": float(value) for name, value in outputs.items()}
            scalars[f"step{self.step}/lr"] = runner.optim_wrapper.get_lr()["lr"][0]
            runner.visualizer.add_scalars(scalars, step=runner.iter)


def unwrap(model: Any) -> Any:
    """The model inside a distributed wrapper."""
    return getattr(model, "module", model)


def _plain_state(scheduler: Any) -> dict[str, Any]:
    """A scheduler's state without the functions that some keep in it."""
    plain = (int, float, str, bool, list, tuple, type(None))
    return {name: value for name, value in scheduler.state_dict().items() if isinstance(value, plain)}
