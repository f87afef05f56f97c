"""The learner that most continual methods are: plain training, plus a look back at the old model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from cvis.errors import UserError
from cvis.learners.base import Learner
from cvis.learners.distill.teacher import OldView, Teacher
from cvis.scenario import Task
from cvis.segmenters import Memory, Output, Segmenter
from cvis.segmenters.base import QueryOutput
from cvis.types import Clip


class Distiller(Learner):
    """Keeps a frozen copy of the model of the step before and shows it every batch once.

    A method defines :meth:`losses`; a new one is some 30 lines:

    .. code-block:: python

        @LEARNERS.register_module(name="mine")
        class Mine(Distiller):
            def losses(self, clip, new, old):
                kept = unbiased_distillation(new[-1].logits, old.layers[-1].logits).mean()
                return {**self.segmenter.criterion(new, clip.targets), "loss_kd": 10 * kept}

    Query i of the student and query i of the teacher are the same query, a step older: both start from the same
    weights, and no step adds or drops queries. All distillation here rests on that.

    Args:
        lr_mult: factor on the schedule's learning rate after step 0.

    Attributes:
        head_init: how the head of new classes starts after step 0, see :meth:`~cvis.segmenters.ClassHeads.add`.
        teacher: the old model, from ``begin_task`` to ``end_task`` of a step after the first; else None.
    """

    head_init: str = "default"

    def __init__(self, segmenter: Segmenter, lr_mult: float = 1.0) -> None:
        super().__init__(segmenter)
        self.lr_mult = at_least_zero("lr_mult", lr_mult)
        self.teacher: Teacher | None = None

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        """Named, weighted scalars of a step after the first.

        Args:
            new: the student's prediction layers.
            old: the teacher's view of the same batch.
        """
        raise TypeError(f"{type(self).__name__} defines no losses(clip, new, old)")

    def decode(self, segmenter: Segmenter, memory: Memory) -> list[QueryOutput]:
        """All prediction layers of a segmenter, the student's or the teacher's, still without masks."""
        return segmenter.decode_queries(memory)

    def begin_task(self, task: Task) -> None:
        self.grow(task)

    def grow(self, task: Task, head: nn.Module | None = None) -> None:
        """Snapshot the teacher, then add the step's classes, with ``head`` if the method has one of its own."""
        if task.is_base:  # all methods start from the same model, whichever of them trains it
            self.segmenter.add_classes(task.new_classes)
            return
        self.teacher = Teacher(self.segmenter)
        self.segmenter.add_classes(task.new_classes, self.head_init, head)

    def end_task(self, task: Task) -> None:
        self.teacher = None

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        maps = self.segmenter.extract(clip.frames, clip.sizes)
        memory = self.segmenter.encode(maps)
        new = self.segmenter.with_masks(memory, self.decode(self.segmenter, memory))
        if self.teacher is None:
            return self.base_losses(clip, new)
        old = self.teacher(clip, maps, self.decode)
        if old.layers[-1].queries.shape != new[-1].queries.shape:
            shapes = f"{tuple(old.layers[-1].queries.shape)} and {tuple(new[-1].queries.shape)}"
            raise ValueError(f"teacher and student must have the same queries in the same order, not {shapes}")
        return self.losses(clip, new, old)

    def base_losses(self, clip: Clip, new: Sequence[Output]) -> dict[str, Tensor]:
        """Losses of step 0, if the method does not share it (``own_step0``): plain training."""
        return self.segmenter.criterion(new, clip.targets)

    def param_groups(self) -> list[dict[str, Any]]:
        groups = super().param_groups()
        return groups if self.teacher is None else [{**group, "lr_mult": self.lr_mult} for group in groups]


def at_least_zero(name: str, value: Any) -> float:
    """A learner's setting that is a weight or a factor.

    Raises:
        UserError: it is not a number, or negative.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise UserError(f"learner.{name}: {value!r}: must be a number of at least 0")
    return float(value)


def switch(name: str, value: Any) -> bool:
    """A learner's setting that is on or off.

    Raises:
        UserError: it is neither true nor false.
    """
    if not isinstance(value, bool):
        raise UserError(f"learner.{name}: {value!r}: must be true or false")
    return value
