"""The loop over the steps of a stream, from top to bottom.

The same call again resumes: finished steps are not repeated, an interrupted one continues from its last
checkpoint, and the numbers are those of an uninterrupted run. Three things make that so. Shapes depend only
on the tasks seen, so replaying ``begin_task`` and loading the state rebuilds a learner. Every phase of a step
begins with its own derived seed. Training clips are a pure function of seed and position.
"""

from __future__ import annotations

import copy
import logging
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, get_rank, get_world_size
from mmengine.visualization import Visualizer

from cvis.data.sampler import share_of
from cvis.engine import checkpoint, stop
from cvis.engine.config import Config, dump, fingerprint
from cvis.engine.environment import (
    derive_seed,
    describe_environment,
    determinism,
    peak_memory_mb,
    seed_everything,
    select_device,
    use_amp,
)
from cvis.engine.features import cache_features, tell_cache
from cvis.engine.images import add_images
from cvis.engine.initial import describe_init, init_identity, load_initial, refuse_later_classes
from cvis.engine.launch import join_processes
from cvis.engine.progress import Work
from cvis.engine.score import Trained, mark, number, score
from cvis.engine.store import StepZero, recipe
from cvis.engine.summary import keep_queries, summary
from cvis.engine.tasks import begin_task, end_task
from cvis.engine.trackers import build_visualizer
from cvis.engine.train import clip_sampling, train_step
from cvis.engine.whole import Whole, header, whole
from cvis.errors import UserError
from cvis.evaluation import final_metrics
from cvis.learners import Learner, build_learner, find_learner
from cvis.learners.finetune import FineTune
from cvis.learners.registry import check_pair
from cvis.runs.folder import RunWriter, locked, run_folder
from cvis.runs.open import scenario_of
from cvis.runs.paths import StepFolder
from cvis.runs.record import finished_steps, trained_steps
from cvis.scenario import Scenario, Task
from cvis.segmenters import SEGMENTERS, build_segmenter
from cvis.segmenters.feature_cache import FeatureCache

logger = logging.getLogger("cvis")
INSIDE_STEP: dict[str, type | tuple[type, ...]] = {
    "learner": dict, "iteration": int, "train_s": float, "optimizer": dict, "schedulers": list, "rng": (dict, list),
}  # fmt: skip
"""What a checkpoint inside a step holds."""


@dataclass
class Run:
    """What the phases of a run share."""

    config: Config
    scenario: Scenario
    stream: Scenario  # what the learner trains on: the scenario itself, or all of it at once (joint)
    learner: Learner
    device: torch.device
    amp: bool  # compute in bf16
    writer: RunWriter
    visualizer: Visualizer
    whole: Whole
    cache: FeatureCache | None  # of what the frozen part says of frames
    saved: dict[str, Any]  # learner state as the trained steps left it on disk
    pending: list[Trained]  # steps that are trained and not tested yet

    @property
    def seed(self) -> int:
        return self.config.runtime.seed

    @property
    def one_pass(self) -> bool:
        """The steps are tested together, once the last of them is trained."""
        return self.config.runtime.evaluate != "each-step" and self.learner.one_pass

    @property
    def text_encoder(self) -> dict[str, Any] | None:
        return self.learner.describe().get("text_encoder")


def run(config: Config, command: str | None = None, stop_after: int | None = None) -> Path:
    """Run a learner through a stream; returns the run's folder, in which ``metrics.json`` then lies.

    Args:
        config: from :func:`cvis.engine.resolve.resolve`.
        command: what the user typed to make this run; kept in ``run.json``.
        stop_after: the last step of this call; the run is then unfinished, and a call without it goes on.

    Raises:
        UserError: anything wrong with the configuration, the data or the disk.
        Stopped: SIGTERM or Ctrl-C came; what was done is saved.
    """
    check_pair(config.learner["type"], SEGMENTERS.find(str(config.segmenter.get("type"))))  # leaves no folder behind
    if config.runtime.evaluate == "one-pass" and not find_learner(config.learner["type"]).one_pass:
        said = f"{config.names.learner}: what it says of old steps cannot be told from its last model"
        raise UserError(f"runtime.evaluate: one-pass: {said}; use each-step, or auto")
    device = select_device(config.runtime.device, config.runtime.launcher)
    join_processes(config.runtime.launcher, device)
    share_of(config.schedule.batch_size, get_world_size())  # likewise
    clip_sampling(config)  # likewise
    amp = use_amp(config.runtime.amp, device)
    values = config.model_dump(mode="json")
    scenario = scenario_of(values)
    folder = run_folder(values, scenario.name)
    lock = locked(folder) if get_rank() == 0 else nullcontext()
    with lock, stop.deferred(), determinism(config.runtime.deterministic):
        return _run(config, scenario, folder, device, amp, command, stop_after)


def _run(
    config: Config,
    scenario: Scenario,
    folder: Path,
    device: torch.device,
    amp: bool,
    command: str | None,
    stop_after: int | None,
) -> Path:
    stream = find_learner(config.learner["type"]).stream(scenario)
    refuse_later_classes(config.protocol.init, scenario)
    images = {}
    if config.sampling.images is not None:
        stream, images["images_sha256"] = add_images(stream, config.sampling.images)
    identity = {
        "scenario": scenario.name,
        "scenario_hash": scenario.hash,
        "split_sha256": scenario.split_sha256,
        "device": device.type,
        "processes": get_world_size(),
        "initial_weights": init_identity(config.protocol.init),
        **images,
    }
    values = config.model_dump(mode="json")
    writer = RunWriter(folder, values, dump(config), identity, decisive=fingerprint, writes=get_rank() == 0)
    if command is not None and stop_after is None:
        writer.content.setdefault("command", command)  # the first one: a resumption may say less
    steps = finished_steps(writer.folder)
    if len(steps) == len(stream) and writer.folder.metrics.is_file():
        if not writer.is_done:  # it died between its last two files, or its record is of an older version
            writer.update(status="done")
        logger.info("%s is complete already%s", folder, mark(writer.content.get("text_encoder")))
        return folder
    last = len(stream) - 1 if stop_after is None else min(stop_after, len(stream) - 1)
    if len(steps) > last and stop_after is not None:
        logger.info("%s: step %d is done", folder, last)
        return folder
    logger.info(header(config, scenario, folder, device, amp))
    this = _rebuild(config, scenario, stream, device, amp, writer, steps)
    with closing(this.visualizer):  # a tracker left open would take in the next run of this process
        while len(steps) <= last:
            trained = len(steps) + len(this.pending)
            if trained <= last and (this.one_pass or not this.pending):
                this.pending.append(_train(this, stream[trained], steps))
            else:
                steps += score(this, this.pending)
                this.pending = []
    if last < len(stream) - 1:
        logger.info("stopped after step %d of %d, as asked", last, len(stream) - 1)
        return folder
    tell_cache(this.cache)
    if get_rank() == 0:
        keep_queries(this)
    writer.write_run(summary(this, steps))
    writer.update(status="done", peak_mem_mb=max(s["peak_mem_mb"] for s in steps))
    final = final_metrics(steps)
    words = ", ".join(f"{name} {number(final[name])}" for name in ("mAP", "AP50", "AR10", "FR", "forgetting"))
    logger.info("done%s: %s", mark(this.text_encoder), words)
    return folder


def _rebuild(
    config: Config,
    scenario: Scenario,
    stream: Scenario,
    device: torch.device,
    amp: bool,
    writer: RunWriter,
    steps: list[dict[str, Any]],
) -> Run:
    """The run as the finished steps left it: replay the growth of the learner, then load what was learned."""
    seed = config.runtime.seed
    seed_everything(derive_seed(seed, "init"))
    segmenter = build_segmenter(config.segmenter)
    init_report = load_initial(segmenter, config.protocol.init)
    if init_report.matched:
        logger.info("initial weights: %s", init_report)
    cache = cache_features(segmenter, config)
    learner = build_learner(config.learner, segmenter).to(device)
    if learner.needs_frozen_backbone and config.protocol.freeze != "backbone" and len(stream) > 1:
        what = f"{learner.needs_frozen_backbone}: it reads the backbone, which protocol.freeze={config.protocol.freeze}"
        raise UserError(f"{what} goes on training; say protocol.freeze=backbone, or leave it out")
    learner.sampling = clip_sampling(config)
    visualizer = build_visualizer(config.runtime.loggers, writer.folder.path)
    parts = whole(config, scenario, stream)
    this = Run(config, scenario, stream, learner, device, amp, writer, visualizer, parts, cache, saved={}, pending=[])
    facts = trained_steps(writer.folder, len(steps))
    trained = len(steps) + len(facts)
    for task in stream[:trained]:
        begin_task(learner, task, config, device)
        file = writer.folder.step(task.index).model
        this.saved |= checkpoint.overlay([file])
        if task.index >= len(steps) or task.index == trained - 1:
            checkpoint.load_state(learner, this.saved, file)
        if task.index >= len(steps):
            this.pending.append(_pending(learner, task, facts[task.index - len(steps)]))
    if trained:
        logger.info("resuming after step %d", trained - 1)
    _announce_text_encoder(this)
    writer.update(
        batch_size_per_process=share_of(config.schedule.batch_size, get_world_size()),
        environment=describe_environment(device),
        init=describe_init(init_report),
        text_encoder=this.text_encoder,
        classes_without_test=list(scenario.classes_without_test),
    )
    return this


def _train(this: Run, task: Task, finished: list[dict[str, Any]]) -> Trained:
    """Learn one task, and save what was learned."""
    folder = this.writer.begin_step(task.index)
    if this.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(this.device)
    begin_task(this.learner, task, this.config, this.device)
    if this.cache is not None:
        this.cache.begin_step()
    train_s, skipped = _learn(this, task, folder, this.whole.training(task.index, finished))
    end_task(this.learner, task, this.config)
    state = checkpoint.snapshot(this.learner.state_dict())
    stored = checkpoint.changed(state, this.saved)
    facts = {
        "training": _effective(this, task),
        "skipped_clips": skipped,
        "train_s": train_s,
        "peak_mem_mb": peak_memory_mb(this.device),
        "trainable_params": sum(p.numel() for p in this.learner.parameters() if p.requires_grad),
        "total_params": sum(p.numel() for p in this.learner.parameters()),
        "stored_params": checkpoint.count(stored),
        "observed": this.learner.observe(),
    }
    if get_rank() == 0:
        checkpoint.save(folder.model, {"state": stored})
        this.writer.write_trained(task.index, facts)
        folder.checkpoint.unlink(missing_ok=True)
    this.saved = state
    barrier()
    if this.one_pass:
        logger.info("step %d: trained %.0f s; it is tested together with the others", task.index, train_s)
    return _pending(this.learner, task, facts)


def _pending(learner: Learner, task: Task, facts: dict[str, Any]) -> Trained:
    return Trained(task, facts, copy.deepcopy(learner.heads()) if learner.one_pass else None)


def _learn(this: Run, task: Task, folder: StepFolder, work: Work) -> tuple[float, int]:
    """Train, or take the shared step-0 model, or continue from the last checkpoint.

    Returns:
        The seconds of training, and how many clips were replaced for a bad frame.

    A shared step 0 is plain training of the segmenter, whichever learner came first: what a method adds to its
    losses must not leak into the others' starting point.
    """
    runtime = this.config.runtime
    zero = StepZero(Path(runtime.runs), recipe(this.config, task, this.device, this.amp), runtime.shipped_step0)
    shares_step0 = task.is_base and not this.learner.own_step0
    stored = zero.load() if shares_step0 else None
    if stored is not None:
        checkpoint.load_state(this.learner.segmenter, stored["state"], zero.source or zero.file)
        this.writer.update(step0={"key": zero.key, "reused": True, "shipped": zero.source != zero.file})
        logger.info("step 0: not trained again: model %s, which all learners of this recipe share", zero.key)
        return stored["train_s"], 0
    trainee = FineTune(this.learner.segmenter) if shares_step0 else this.learner
    last = checkpoint.load(folder.checkpoint, **INSIDE_STEP) if folder.checkpoint.is_file() else None
    if last is not None:
        checkpoint.load_state(trainee, last["learner"], folder.checkpoint)
        logger.info("step %d: resuming at iteration %d", task.index, last["iteration"])
    phase = this.config.schedule.phase(task.is_base, this.stream.is_merged, len(this.scenario))
    begun = time.monotonic()
    place = (folder.checkpoint, this.visualizer, last, work)
    skipped = train_step(trainee, task, phase, this.config, this.device, this.amp, *place)
    train_s = time.monotonic() - begun + (last["train_s"] if last else 0.0)
    if shares_step0:
        if get_rank() == 0 and not skipped:  # nobody is to share what was trained on other clips than it says
            zero.save(this.learner.segmenter, train_s)
        this.writer.update(step0={"key": zero.key, "reused": False})
    return train_s, skipped


def _effective(this: Run, task: Task) -> dict[str, Any]:
    """Under what a task was trained, whatever the number of processes: none of it is scaled by that."""
    schedule, processes = this.config.schedule, get_world_size()
    return {
        "processes": processes,
        "batch_size": schedule.batch_size,
        "batch_size_per_process": share_of(schedule.batch_size, processes),
        "lr": schedule.phase(task.is_base, this.stream.is_merged, len(this.scenario)).lr,
    }


def _announce_text_encoder(this: Run) -> None:
    """Say which text encoder is at work; it lies in no checkpoint, so a resumed run must find the same one.

    Raises:
        UserError: the weights behind the same configuration are no longer those that the run was begun with.
    """
    now, before = this.text_encoder, this.writer.content.get("text_encoder")
    if before is not None and before != now:
        raise UserError(
            f"{this.writer.folder.record}: text_encoder: this run was begun with {before}, not {now}; "
            "put those weights back, or use --name for another run"
        )
    if now is not None:
        logger.info("text encoder: %s, %s weights%s", now["model"], now["pretrained"], mark(now))
