"""The training of one step, on mmengine's Runner."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import Tensor, nn

from cvis.data.clips import ClipDataset, ClipSampler, ClipSampling, make_loader
from cvis.engine.config import Config, Phase
from cvis.engine.environment import derive_seed
from cvis.engine.hooks import CheckpointInStep, FiniteGradients, LeakageGuard, Report
from cvis.engine.optim import build_optimizer, lr_schedule
from cvis.engine.progress import progress
from cvis.errors import UserError
from cvis.learners import Learner
from cvis.scenario import Task
from cvis.types import Clip


class ToDevice(nn.Module):
    """Batches go to where the model is."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def forward(self, clip: Clip, training: bool = True) -> dict[str, Clip]:
        return {"clip": clip.to(self.device)}


class StepModel(BaseModel):
    """A learner as mmengine's Runner wants it: a model whose ``train_step`` sums the losses and steps."""

    def __init__(self, learner: Learner, step: int, device: torch.device) -> None:
        super().__init__(data_preprocessor=ToDevice(device))
        self.learner = learner
        self.step = step
        self.iteration = 0
        self.names: tuple[str, ...] = ()

    def init_weights(self) -> None:
        """Nothing: the engine has loaded the weights; mmengine would draw or download them anew."""

    def forward(self, clip: Clip, mode: str = "loss") -> dict[str, Tensor]:
        self.names = clip.names
        return self.learner(clip)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of all losses (whatever their names), checked to be finite before it can do harm."""
        total = torch.stack([value.sum() for value in losses.values()]).sum()
        if not torch.isfinite(total):
            bad = [name for name, value in losses.items() if not torch.isfinite(value).all()]
            raise UserError(
                f"step {self.step}, iteration {self.iteration}: loss is not finite "
                f"({', '.join(bad) or 'their sum'}) on clips {', '.join(self.names)}; "
                "lower schedule.*.lr or look at these clips"
            )
        self.iteration += 1
        return total, {"loss": total.detach(), **{n: v.detach().sum() for n, v in losses.items()}}


class StepRunner(Runner):
    """mmengine's Runner without what the engine does itself: environment log, config dump, device choice."""

    device: torch.device

    def _log_env(self, env_cfg: dict[str, Any]) -> None: ...

    def dump_config(self) -> None: ...

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        if not self.distributed:
            return model
        ids = [torch.cuda.current_device()] if next(model.parameters()).is_cuda else None
        return MMDistributedDataParallel(
            module=model, device_ids=ids, broadcast_buffers=False, find_unused_parameters=True
        )


def train_step(
    learner: Learner,
    task: Task,
    phase: Phase,
    config: Config,
    device: torch.device,
    folder: Path,
    visualizer: Visualizer,
    resume_from: dict[str, Any] | None = None,
) -> None:
    """Train ``learner`` on ``task`` for ``phase.iterations`` iterations, or for what is left of them.

    Args:
        folder: of the step; ``last.pth`` in it is the checkpoint inside the step.
        resume_from: content of ``last.pth``, already loaded into the learner.

    Raises:
        UserError: nothing to train on, no parameter to train, a loss that is not finite, a full disk.
    """
    iterations, start = phase.iterations, resume_from["iteration"] if resume_from else 0
    if start >= iterations:
        return
    runtime, schedule, seed = config.runtime, config.schedule, config.runtime.seed
    groups = learner.param_groups()
    if not groups:
        raise UserError(f"step {task.index}: learner {config.names.learner!r} has no parameter to train")
    model = StepModel(learner, task.index, device).to(device)
    model.iteration = start
    with progress(f"step {task.index} train", iterations, start) as update:
        hooks = [
            LeakageGuard(task, learner.replays),
            FiniteGradients(task.index),
            CheckpointInStep(folder / "last.pth", runtime.checkpoint_every, resume_from),
            Report(task.index, update, device),
        ]
        runner = StepRunner(
            model=model,
            work_dir=str(folder.parent / "logs"),
            train_dataloader=_loader(learner, task, config, iterations, start, seed),
            train_cfg=dict(
                by_epoch=False, max_iters=iterations, val_interval=iterations + 1, fast_forward_on_resume=True
            ),
            optim_wrapper=build_optimizer(groups, phase, schedule, use_amp(runtime.amp, device)),
            param_scheduler=lr_schedule(phase, schedule.milestones),
            default_hooks=dict(logger=None, checkpoint=None, sampler_seed=None, timer=None),
            custom_hooks=hooks,
            launcher=runtime.launcher,
            log_level="ERROR",
            default_scope=None,  # a scope set here would outlive the runner and steer every later build
            visualizer=visualizer,
            randomness=dict(seed=derive_seed(seed, "train", task.index) % 2**32),
            experiment_name=f"step{task.index}-{uuid.uuid4().hex[:8]}",
        )
        runner.train_loop._iter = start
        try:
            runner.train()
        except UserError as error:
            raise _unwrapped(error) from error


def _unwrapped(error: UserError) -> UserError:
    """A worker process wraps its traceback around the one line; take the line out again."""
    text = str(error).strip()
    return UserError(text.splitlines()[-1].partition("UserError: ")[2]) if text.startswith("Caught ") else error


def use_amp(amp: str, device: torch.device) -> bool:
    """Whether to compute in bf16, from ``runtime.amp``: on CUDA unless switched off."""
    return amp == "bf16" or (amp == "auto" and device.type == "cuda")


def _loader(learner: Learner, task: Task, config: Config, iterations: int, start: int, seed: int):
    from mmengine.dist import get_dist_info

    rank, world_size = get_dist_info()
    sampling = {**config.sampling.model_dump(), "short_sides": tuple(config.sampling.short_sides)}
    clips = ClipDataset(learner.train_data(task), ClipSampling(**sampling))
    sampler = ClipSampler(
        num_videos=len(clips),
        batch_size=config.schedule.batch_size,
        iterations=iterations,
        seed=derive_seed(seed, "clips", task.index),
        start=start,
        rank=rank,
        world_size=world_size,
    )
    return make_loader(clips, sampler, workers=config.runtime.workers)
