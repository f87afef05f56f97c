"""The learners that most continual methods are: plain training, plus a look back at the old model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvis.learners.base import Learner
from cvis.learners.distill.teacher import OldView, Teacher
from cvis.learners.settings import Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.contract import AlignedQueries, ClassSlots, SharedFeatures
from cvis.segmenters.outputs import Maps, Memory, SlotOutput
from cvis.types import Clip


class TeacherLearner(Learner):
    """Keeps a frozen copy of the model of the step before, of any kind of model.

    A method defines :meth:`later_loss`.

    Args:
        lr_mult: factor on the schedule's learning rate after step 0.

    Attributes:
        teacher: the old model, from ``begin_task`` to ``end_task`` of a step after the first; else None.
    """

    static_graph = True
    teacher: Teacher | None

    def __init__(self, segmenter: Segmenter, lr_mult: Weight = 1.0) -> None:
        super().__init__(segmenter)
        self.lr_mult = lr_mult
        self.teacher = None

    def later_loss(self, clip: Clip, maps: Maps | None, teacher: Teacher) -> dict[str, Tensor]:
        """Named, weighted scalars of a step after the first.

        Args:
            maps: what the backbone says of the batch, of models with ``SharedFeatures``.
        """
        raise TypeError(f"{type(self).__name__} defines no later_loss(clip, maps, teacher)")

    def begin_task(self, task: Task) -> None:
        if task.is_base:  # all methods start from the same model, whichever of them trains it
            self.segmenter.add_classes(task.new_classes)
            return
        self.teacher = Teacher(self.segmenter)
        self.segmenter.add_classes(task.new_classes, **self.new_head(task))

    def new_head(self, task: Task) -> dict[str, Any]:
        """How the classes of a later step begin: keywords of the segmenter's ``grow``."""
        return {}

    def end_task(self, task: Task) -> None:
        self.teacher = None

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        maps = None
        if isinstance(self.segmenter, SharedFeatures):
            maps = self.segmenter.extract(clip.frames, clip.sizes)
        if self.teacher is None:
            return self.base_loss(clip, maps)
        return self.later_loss(clip, maps, self.teacher)

    def base_loss(self, clip: Clip, maps: Maps | None) -> dict[str, Tensor]:
        """Losses of step 0, if the method does not share it (``own_step0``): plain training."""
        return self.segmenter.losses(clip, maps)

    def param_groups(self) -> list[dict[str, Any]]:
        groups = super().param_groups()
        return groups if self.teacher is None else [{**group, "lr_mult": self.lr_mult} for group in groups]


class Distiller(TeacherLearner):
    """Compares the slots of the model with those of the model of the step before, on every batch.

    A method defines :meth:`losses`; a new one is some 30 lines:

    .. code-block:: python

        @LEARNERS.register_module(name="mine")
        class Mine(Distiller):
            def losses(self, clip, new, old):
                kept = unbiased_distillation(new[-1].logits, old.layers[-1].logits).mean()
                return {**self.segmenter.criterion(new, clip.targets), "loss_kd": 10 * kept}

    Query i of the student and query i of the teacher are the same query, a step older: both start from the same
    weights, and no step adds or drops queries. All distillation here rests on that. A method that asks for nothing but
    what locations and pixels have too says ``requires = (ClassSlots,)``, and ``ClipTracks`` for ``old.proposals``.

    Args:
        lr_mult: see :class:`TeacherLearner`.
    """

    requires: ClassVar[tuple[type[Segmenter], ...]] = (AlignedQueries,)
    segmenter: ClassSlots

    def losses(self, clip: Clip, new: Sequence[Any], old: OldView) -> dict[str, Tensor]:
        """Named, weighted scalars of a step after the first.

        Args:
            new: the student's prediction layers: ``Output``, of dense models ``SlotOutput``.
            old: the teacher's view of the same batch.
        """
        raise TypeError(f"{type(self).__name__} defines no losses(clip, new, old)")

    def decode(self, segmenter: Any, memory: Memory) -> Sequence[SlotOutput]:
        """All prediction layers of a segmenter, the student's or the teacher's, still without masks."""
        return segmenter.answers(memory)

    def new_view(self, maps: Maps | None) -> Sequence[Any]:
        """The student's prediction layers."""
        assert maps is not None  # models with slots share their features
        memory = self.segmenter.encode(maps)
        return self.segmenter.with_masks(memory, self.decode(self.segmenter, memory))

    @torch.no_grad()
    def old_view(self, clip: Clip, maps: Maps | None, teacher: Teacher) -> OldView:
        """The teacher's view of a batch."""
        segmenter, known = teacher.segmenter, teacher.maps(maps)
        known = segmenter.extract(clip.frames, clip.sizes) if known is None else known
        memory = segmenter.encode(known)
        return OldView(segmenter, memory, tuple(self.decode(segmenter, memory)), known)

    def later_loss(self, clip: Clip, maps: Maps | None, teacher: Teacher) -> dict[str, Tensor]:
        new = self.new_view(maps)
        old = self.old_view(clip, maps, teacher)
        if old.layers[-1].features.shape != new[-1].features.shape:
            shapes = f"{tuple(old.layers[-1].features.shape)} and {tuple(new[-1].features.shape)}"
            raise ValueError(f"teacher and student must have the same queries in the same order, not {shapes}")
        return self.losses(clip, new, old)
