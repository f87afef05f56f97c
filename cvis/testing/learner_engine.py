"""Checks of what the engine relies on while a learner trains and predicts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from cvis.engine.environment import seed_everything
from cvis.engine.launch import has_static_graph
from cvis.engine.losses import LossError, total_loss
from cvis.engine.tasks import StateError
from cvis.errors import UserError
from cvis.learners import Learner
from cvis.scenario import AnnotationLeak
from cvis.segmenters import Segmenter
from cvis.testing.check import Failed, NotApplicable, listed, said
from cvis.testing.plain import same
from cvis.testing.trial import Trial
from cvis.types import Targets


def losses(trial: Trial) -> None:
    """``loss`` returns finite scalar tensors by name, through which gradients flow.

    The engine sums them; of anything else it could not say what was trained.
    """
    error = trial.error
    if isinstance(error, LossError) or (error is not None and "is not finite" in str(error)):
        raise Failed(str(error)) from error
    if len(trial.steps) <= trial.own:
        raise NotApplicable("it did not come to a loss")


def new_classes(trial: Trial) -> None:
    """A stream whose steps bring two, one and five new classes is trained and predicted without an error.

    What works with one class a step breaks easily with five, and the other way round.
    """
    error = trial.error
    if error is None:
        return
    if isinstance(error, (LossError, StateError, AnnotationLeak)):
        raise NotApplicable(f"another check says why {trial.where} fails")
    if isinstance(error, UserError):
        raise Failed(str(error)) from error
    what = said(error, trial.authors)
    raise Failed(f"{trial.where}: {what}; make it work for any number of new classes") from error


def gradients(trial: Trial) -> None:
    """Gradients reach something that ``param_groups`` names, and nothing that it leaves out; with ``static_graph`` all.

    What gets gradients and is in no group never learns; what is in a group and no parameter of the learner is in no
    checkpoint. Of a static graph, several processes wait for each gradient, of a batch without objects too.
    """
    learner = trial.rebuilt(trial.incremental)
    names = {id(parameter): name for name, parameter in learner.named_parameters()}
    declared = [parameter for group in learner.param_groups() for parameter in group["params"]]
    foreign = [list(p.shape) for p in declared if id(p) not in names]
    if foreign:
        remedy = "make it an attribute of the learner, as nn.Parameter, so that state_dict holds it"
        raise Failed(f"param_groups: a tensor of shape {foreign[0]}: is no parameter of the learner; {remedy}")
    _total(trial, learner, learner).backward()
    reached = {id(p) for p in learner.parameters() if p.grad is not None and bool(p.grad.count_nonzero())}
    left_out = [names[key] for key in reached - {id(p) for p in declared}]
    if left_out:
        remedy = "name it in param_groups, or freeze it with requires_grad_(False) in begin_task"
        raise Failed(f"{listed(sorted(left_out))}: gets gradients and is in no group of param_groups; {remedy}")
    if not any(id(p) in reached for p in declared):
        raise Failed(
            "loss: no gradient reaches a parameter of param_groups: nothing would be learned; "
            "let the losses depend on them, and freeze less in begin_task"
        )
    if has_static_graph(learner):
        learner.zero_grad()
        _total(trial, learner, learner, objects=False).backward()
        idle = sorted(names[id(p)] for p in learner.parameters() if p.requires_grad and p.grad is None)
        if idle:
            raise Failed(
                f"loss: {listed(idle)}: has no part in the loss of a batch without objects, and static_graph is True: "
                "several processes would wait for each other; set it to False, or add zero times a sum over it"
            )


def frozen_parts(trial: Trial) -> None:
    """What the segmenter has frozen stays the same to the last bit in a step's training, running statistics too.

    Methods that promise not to forget, and the storage of a step, which holds changes only, rest on it.
    """
    learner = trial.rebuilt(trial.incremental)
    declared = {id(p) for group in learner.param_groups() for p in group["params"]}
    before = {name: value.detach().clone() for name, value in _frozen(learner.segmenter, declared)}
    if not before:
        raise NotApplicable("nothing is frozen")
    trial.train(learner, trial.tasks[trial.incremental])
    changed = [n for n, value in _frozen(learner.segmenter, declared) if n in before and not same(before[n], value)]
    if changed:
        remedy = "keep it in eval mode (see Segmenter.train), and out of reach of what loss changes itself"
        raise Failed(f"{listed(changed)}: frozen, and other values after a step's training; {remedy}")


def own_step0(trial: Trial) -> None:
    """A learner that shares step 0 with the others has no loss of its own there.

    The engine trains a shared step 0 by plain fine-tuning, and never asks the method.
    """
    if trial.own == 0:
        raise NotApplicable("it trains step 0 its own way" if len(trial.tasks) > 1 else "its stream has one step")
    learner = trial.rebuilt(0)
    try:
        mine = _total(trial, learner, learner, 0).item()
    except Exception as error:  # the engine never asks either
        raise NotApplicable("its loss cannot be asked for in step 0, and is not") from error
    learner = trial.rebuilt(0)
    plain = _total(trial, learner, learner.segmenter, 0).item()
    if not math.isclose(mine, plain, rel_tol=1e-3):
        raise Failed(
            f"loss: is {mine:.4g} for a batch of step 0, where plain training has {plain:.4g}, and own_step0 is False: "
            "the engine trains step 0 without it; set own_step0 = True, or return self.segmenter.losses(clip) there"
        )


def seen_classes(trial: Trial) -> None:
    """``predict`` answers with classes seen so far, finite scores, and a mask or None for each frame of the video.

    A class of a later step would be scored, and counted as never forgotten.
    """
    for step in trial.whole:
        length = {video.id: len(video) for video in trial.scenario.test.videos}
        for tracks in step.tracks:
            where = f"predict: after step {step.task.index}, video {tracks.video_id}"
            unseen = sorted({*tracks.category_ids} - {*step.task.seen_classes})
            if unseen:
                remedy = "answer with the data set's ids of self.segmenter.classes"
                raise Failed(f"{where}: category_ids {unseen}: not among {step.task.seen_classes}; {remedy}")
            if not all(map(math.isfinite, tracks.scores)):
                raise Failed(f"{where}: scores: not all finite; leave tracks without a score out")
            if any(len(masks) != length[tracks.video_id] for masks in tracks.segmentations):
                raise Failed(f"{where}: segmentations: not one for each frame; put None where the object is absent")


def _total(
    trial: Trial, learner: Learner, asked: Learner | Segmenter, index: int | None = None, objects: bool = True
) -> Tensor:
    """The sum of the losses of a batch, the same batch and random numbers at every call."""
    task = trial.tasks[trial.incremental if index is None else index]
    clip = trial.clip(task, learner)
    if not objects:
        clip = replace(clip, targets=tuple(Targets(t.category_ids[:0], t.masks[:0]) for t in clip.targets))
    learner.train()
    seed_everything(0)
    found = asked.loss(clip) if isinstance(asked, Learner) else asked.losses(clip)
    return total_loss(found, asked, f"step {task.index}")


def _frozen(segmenter: nn.Module, declared: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Parameters that no group names, and buffers of modules all whose parameters are such."""
    for path, module in segmenter.named_modules(prefix="segmenter"):
        parameters = dict(module.named_parameters(recurse=False))
        fixed = {name: p for name, p in parameters.items() if id(p) not in declared}
        if parameters and len(fixed) == len(parameters):
            fixed |= {name: b for name, b in module.named_buffers(recurse=False) if isinstance(b, torch.Tensor)}
        yield from ((f"{path}.{name}", value) for name, value in fixed.items())
