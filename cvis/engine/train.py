"""The training of one step, from the batch to the checkpoint: one loop, to be read from top to bottom."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_dist_info, get_rank
from mmengine.optim.scheduler import _ParamScheduler
from mmengine.visualization import Visualizer
from torch import Tensor
from torch.optim import Optimizer

from cvis.data.clips import ClipDataset, ClipSampler, ClipSampling, make_loader
from cvis.data.frames import Crop
from cvis.engine import checkpoint, stop
from cvis.engine.config import Config, Phase
from cvis.engine.environment import (
    count_workers,
    derive_seed,
    peak_memory_mb,
    restore_rng_state,
    rng_state,
    seed_everything,
    settle_process,
)
from cvis.engine.images import with_image_clips
from cvis.engine.launch import as_one_batch, check_processes, distribute
from cvis.engine.losses import total_loss
from cvis.engine.optim import build_optimizer, build_schedulers
from cvis.engine.progress import Work, progress
from cvis.engine.tasks import check_entries, entries
from cvis.errors import Stopped, UserError
from cvis.learners import Learner
from cvis.scenario import Task, audit
from cvis.segmenters.shared_batch import mean_of_all
from cvis.types import Clip

TRACK_EVERY = 10  # iterations
logger = logging.getLogger("cvis")


def train_step(
    learner: Learner,
    task: Task,
    phase: Phase,
    config: Config,
    device: torch.device,
    amp: bool,
    last: Path,
    visualizer: Visualizer,
    resume_from: dict[str, Any] | None = None,
    work: Work | None = None,
) -> int:
    """Train ``learner`` on ``task`` for ``phase.iterations`` iterations, or for what is left of them.

    Args:
        amp: compute in bf16.
        last: file of the checkpoint inside the step.
        resume_from: its content, already loaded into the learner.
        work: what the progress display calls this training, and what follows it.

    Returns:
        How many clips, in all processes, were replaced because a frame could not be read (``on_bad_frame=skip``).

    Raises:
        Stopped: a signal came; the iteration that it met is finished and saved.
        UserError: nothing to train on, no parameter to train, a loss that cannot be trained, a loss or gradient that
            is not finite, state made inside ``loss``, a full disk.
        AnnotationLeak: a clip shows annotations that the step must not see.
    """
    begun, iterations = time.monotonic(), phase.iterations
    start, train_s = (resume_from["iteration"], resume_from["train_s"]) if resume_from else (0, 0.0)
    skipped = _of_this_process(resume_from.get("skipped", 0)) if resume_from else 0
    if start >= iterations:
        return _sum(skipped)
    runtime, schedule = config.runtime, config.schedule
    groups = learner.param_groups()
    if not groups:
        raise UserError(f"step {task.index}: learner {config.names.learner!r} has no parameter to train")
    parameters = [parameter for group in groups for parameter in group["params"]]
    optimizer = build_optimizer(groups, phase, schedule)
    schedulers = build_schedulers(optimizer, phase, schedule.milestones)
    clips = training_clips(learner, task, config, device, iterations, start)
    model = distribute(learner, device)
    model.train()
    made = entries(learner)
    settle_process()
    # Last of all, so that nothing above moves the generators; the loader draws from one of its own.
    # Of the seed only 32 bits: published numbers rest on these.
    seed_everything(derive_seed(runtime.seed, "train", task.index) % 2**32)
    if resume_from:
        _restore(resume_from, optimizer, schedulers, device, last)

    with progress(work or f"step {task.index} train", iterations, start) as update, _plain_loader_errors():
        for iteration, clip in enumerate(clips, start):
            where = f"step {task.index}, iteration {iteration}"
            skipped += _told_skipped(clip, where)
            audit([targets.category_ids for targets in clip.targets], task, clip.names, learner.replays)

            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp):
                losses = model(as_one_batch(clip.to(device, non_blocking=True)))
            total = total_loss(losses, learner, where, first=iteration == start)
            of_batch = check_loss(total, losses, where, clip.names)

            total.backward()
            check_processes(learner, where, first=iteration == start)
            if schedule.clip_grad:
                norm = float(torch.nn.utils.clip_grad_norm_(parameters, schedule.clip_grad))
                check_norm(norm, where, clip.names)
            optimizer.step()
            optimizer.zero_grad()

            update(f"loss {of_batch.item():.3f} mem {peak_memory_mb(device):.0f} MB")
            if iteration % TRACK_EVERY == 0 and get_rank() == 0:
                scalars = {name: value.item() for name, value in {"loss": of_batch, **losses}.items()}
                scalars |= {"lr": optimizer.param_groups[0]["lr"], **learner.observe()}
                visualizer.add_scalars({f"step{task.index}/{k}": v for k, v in scalars.items()}, step=iteration)

            for scheduler in schedulers:
                scheduler.step()

            done = iteration + 1
            stopping = stop.asked()
            if stopping or done % runtime.checkpoint_every == 0 or done == iterations:
                check_entries(learner, made, "loss")  # what is saved must be what a resumed run makes anew
                _save(last, {
                    "iteration": done,
                    "train_s": train_s + time.monotonic() - begun,
                    "learner": learner.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedulers": [scheduler.state_dict() for scheduler in schedulers],
                }, {"rng": rng_state(device), "skipped": skipped})  # fmt: skip
            if stopping:
                raise Stopped(stopping, f"step {task.index}: stopped after iteration {done} of {iterations}, saved")
    return _sum(skipped)


def _told_skipped(clip: Clip, where: str) -> int:
    for reason in clip.skipped:
        logger.warning("%s: another clip in place of one with a bad frame: %s", where, reason)
    return len(clip.skipped)


def _save(last: Path, content: dict[str, Any], own: dict[str, Any]) -> None:
    """The first process writes ``content``, which is equal in all of them, and of each its ``own``."""
    of_all = all_gather_object(own)
    if get_rank() == 0:
        checkpoint.save(last, {**content, **{key: [process[key] for process in of_all] for key in own}})


def _restore(
    content: dict[str, Any], optimizer: Optimizer, schedulers: list[_ParamScheduler], device: torch.device, file: Path
) -> None:
    """What a checkpoint inside a step holds beside the learner."""
    try:
        optimizer.load_state_dict(content["optimizer"])
        for scheduler, state in zip(schedulers, content["schedulers"], strict=True):
            scheduler.load_state_dict(state)
        restore_rng_state(_of_this_process(content["rng"]), device)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{file}: does not fit this run ({reason:.200}); delete it to train that step again") from error


def _of_this_process(saved: Any) -> Any:
    """Its entry of what a checkpoint keeps of each process; older ones keep one value, the first one's."""
    return saved[get_rank()] if isinstance(saved, list) else saved


def _sum(count: int) -> int:
    """Over all processes."""
    total = torch.tensor(count)
    all_reduce(total, "sum")
    return int(total)


def clip_sampling(config: Config) -> ClipSampling:
    """How training clips are drawn."""
    sampling = config.sampling
    values = {**sampling.model_dump(exclude={"images"}), "short_sides": tuple(sampling.short_sides)}
    if sampling.crop is not None:
        least, most = sampling.crop.sides
        values["crop"] = Crop(sampling.crop.probability, tuple(sampling.crop.short_sides), (least, most))
    return ClipSampling(**values, skip_unreadable=config.runtime.on_bad_frame == "skip")


def training_clips(
    learner: Learner, task: Task, config: Config, device: torch.device, iterations: int, start: int = 0
) -> Iterator[Clip]:
    """The batches of iterations ``start`` to ``iterations``, of each the share of this process.

    Raises:
        UserError: the learner has no video for this step, or the processes cannot share a batch evenly.
    """
    rank, world_size = get_dist_info()
    videos = ClipDataset(learner.train_data(task), clip_sampling(config))
    clips = with_image_clips(videos, task, config.sampling.images)
    sampler = ClipSampler(
        num_videos=len(clips),
        batch_size=config.schedule.batch_size,
        iterations=iterations,
        seed=derive_seed(config.runtime.seed, "clips", task.index),
        start=start,
        rank=rank,
        world_size=world_size,
        views=None if task.is_base else config.schedule.incremental.views,
    )
    workers = count_workers(config.runtime.workers, device, config.runtime.launcher)
    return iter(make_loader(clips, sampler, workers, pin_memory=device.type == "cuda"))


@contextmanager
def _plain_loader_errors() -> Iterator[None]:
    """A worker process wraps its traceback around a user's mistake; take the one line out again.

    One that dies does not say so where it is waited for: torch raises wherever the training happens to be.
    """
    try:
        yield
    except UserError as error:
        text = str(error).strip()
        if not text.startswith("Caught "):
            raise
        raise UserError(text.splitlines()[-1].partition("UserError: ")[2]) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            f"data loading: {str(error).splitlines()[0]:.150}; memory, or shared memory, may have run out: give fewer "
            "--workers, and run the same command again: it goes on from the last checkpoint"
        ) from error


def check_loss(total: Tensor, losses: dict[str, Tensor], where: str, clips: Iterable[str]) -> Tensor:
    """Stop before a loss that is not finite does harm: in all processes, or the others would wait for this one.

    Args:
        total: the sum of ``losses``, a scalar like each of them.
        where: step and iteration.
        clips: names of those in the batch.

    Returns:
        The loss of the whole batch: the mean over the processes.

    Raises:
        UserError: the total is not finite, here or in another process.
    """
    of_batch = mean_of_all(total)
    if torch.isfinite(of_batch):
        return of_batch
    if torch.isfinite(total):
        raise UserError(f"{where}: loss is not finite in another process; its message names loss and clips")
    bad = [name for name, value in losses.items() if not torch.isfinite(value)]
    raise UserError(
        f"{where}: loss is not finite ({', '.join(bad) or 'their sum'}) on clips {', '.join(clips)}; "
        "lower schedule.*.lr or look at these clips"
    )


def check_norm(norm: float, where: str, clips: Iterable[str]) -> None:
    """A finite loss can have gradients that are not; stop before they are built upon.

    Gradients are the same in all processes, so all of them stop.

    Raises:
        UserError: the norm is not finite.
    """
    if not math.isfinite(norm):
        raise UserError(
            f"{where}: gradient norm is {norm} on clips {', '.join(clips)}; lower schedule.*.lr or look at these clips"
        )
