"""Optimiser and learning-rate schedule of one step."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.optim import CosineAnnealingLR, ExponentialLR, LinearLR, MultiStepLR
from mmengine.optim.scheduler import _ParamScheduler

from cvis.engine.config import Phase, Schedule

WARM_UP = 0.1  # of a cosine phase
SHORT = 10  # iterations; a phase of fewer keeps its learning rate


def build_optimizer(groups: list[dict[str, Any]], phase: Phase, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW or SGD, as the schedule says, over the groups of :meth:`cvis.learners.Learner.param_groups`."""
    settings = [
        dict(
            params=group["params"],
            lr=phase.lr * group.get("lr_mult", 1.0) * (schedule.backbone_lr_mult if group.get("backbone") else 1.0),
            weight_decay=schedule.weight_decay * group.get("decay_mult", 1.0),
        )
        for group in groups
    ]
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(settings, momentum=schedule.momentum)
    return torch.optim.AdamW(settings, fused=True)


def build_schedulers(optimizer: torch.optim.Optimizer, phase: Phase, milestones: list[float]) -> list[_ParamScheduler]:
    """What sets the learning rate after each iteration; milestones are fractions of the phase's iterations.

    They are mmengine's, which multiply the rate of the iteration before: torch's would differ in the last bits.
    """
    iterations = phase.iterations
    if phase.policy == "constant" or iterations < SHORT:
        return []
    if phase.policy == "multistep":
        points = [round(iterations * fraction) for fraction in milestones]
        return [MultiStepLR(optimizer, milestones=points, gamma=0.1, by_epoch=False)]
    if phase.policy == "exponential":  # to a hundredth, from the first milestone on
        begin = round(iterations * milestones[0])
        gamma = 0.01 ** (1 / (iterations - begin))
        return [ExponentialLR(optimizer, gamma, begin=begin, end=iterations, by_epoch=False)]
    warm_up = max(1, round(iterations * WARM_UP))
    cosine = dict(begin=warm_up, end=iterations, T_max=iterations - warm_up, eta_min_ratio=0.001)
    return [
        LinearLR(optimizer, start_factor=0.01, begin=0, end=warm_up, by_epoch=False),
        CosineAnnealingLR(optimizer, **cosine, by_epoch=False),
    ]
