"""Optimiser, gradient clipping, mixed precision and learning-rate schedule of one step, for mmengine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper

from cvis.engine.config import Phase, Schedule

WARM_UP = 0.1  # of a cosine phase


class Bf16OptimWrapper(OptimWrapper):
    """Computes the losses in bf16, the rest in fp32.

    bf16 has the range of fp32, so unlike mmengine's AmpOptimWrapper this one scales no loss and needs no GPU.
    """

    def __init__(self, device_type: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.device_type = device_type

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast(self.device_type, dtype=torch.bfloat16):
            yield


def build_optimizer(groups: list[dict[str, Any]], phase: Phase, schedule: Schedule, amp: bool) -> OptimWrapper:
    """AdamW over the groups of :meth:`cvis.learners.Learner.param_groups`."""
    settings = [
        dict(
            params=group["params"],
            lr=phase.lr * group.get("lr_mult", 1.0) * (schedule.backbone_lr_mult if group.get("backbone") else 1.0),
            weight_decay=schedule.weight_decay * group.get("decay_mult", 1.0),
        )
        for group in groups
    ]
    optimizer = torch.optim.AdamW(settings, fused=True)
    clip_grad = dict(max_norm=schedule.clip_grad) if schedule.clip_grad else None
    if amp:
        device_type = groups[0]["params"][0].device.type
        return Bf16OptimWrapper(device_type, optimizer=optimizer, clip_grad=clip_grad)
    return OptimWrapper(optimizer=optimizer, clip_grad=clip_grad)


def lr_schedule(phase: Phase, milestones: list[float]) -> list[dict[str, Any]] | None:
    """mmengine scheduler configs for a phase; milestones are fractions of its iterations.

    >>> lr_schedule(Phase(iterations=600, lr=1e-4, policy="multistep"), [2 / 3])
    [{'type': 'MultiStepLR', 'by_epoch': False, 'milestones': [400], 'gamma': 0.1}]
    """
    iterations = phase.iterations
    if phase.policy == "constant" or iterations < 10:
        return None
    if phase.policy == "multistep":
        points = [round(iterations * fraction) for fraction in milestones]
        return [dict(type="MultiStepLR", by_epoch=False, milestones=points, gamma=0.1)]
    warm_up = max(1, round(iterations * WARM_UP))
    return [
        dict(type="LinearLR", by_epoch=False, start_factor=0.01, begin=0, end=warm_up),
        dict(
            type="CosineAnnealingLR",
            by_epoch=False,
            begin=warm_up,
            end=iterations,
            T_max=iterations - warm_up,
            eta_min_ratio=0.001,
        ),
    ]
