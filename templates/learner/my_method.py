"""My method (Author et al., "Title", CONF 2026)."""

from __future__ import annotations

from torch import Tensor

from cvis import Learner, Task
from cvis.learners.settings import Weight
from cvis.segmenters import Segmenter
from cvis.types import Clip


class MyMethod(Learner):
    """One line on what the method does: `cvis learners` prints it.

    Two rules make a run resumable: shapes depend on the tasks seen alone, so they are made in ``begin_task``; and
    whatever is learned is a parameter or a buffer.

    Args:
        weight: of all losses. Each argument is a setting, checked by its annotation: --set learner.weight=2
    """

    requires = ()  # what it needs of a segmenter beside its losses: abilities of cvis.segmenters.contract

    def __init__(self, segmenter: Segmenter, weight: Weight = 1.0) -> None:
        super().__init__(segmenter)
        self.weight = weight

    def begin_task(self, task: Task) -> None:
        """Before each step: here the segmenter grows; teachers are copied, prompts added, parts frozen."""
        super().begin_task(task)

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        """Of a batch: named, weighted scalars, which the engine sums."""
        return {name: self.weight * value for name, value in self.segmenter.losses(clip).items()}

    def end_task(self, task: Task) -> None:
        """After each step: what must be remembered of it."""
