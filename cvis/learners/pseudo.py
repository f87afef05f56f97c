"""Fine-tuning with pseudo-labels: what the old model sees is a target beside the annotations."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cvis.learners.distill import Distiller, OldView, with_pseudo_labels
from cvis.learners.distill.learner import at_least_zero
from cvis.learners.registry import LEARNERS
from cvis.segmenters import Output, Segmenter
from cvis.types import Clip


@LEARNERS.register_module(name="pseudo")
class Pseudo(Distiller):
    """Fine-tuning on the annotations and the old model's pseudo-labels, and no other help against forgetting.

    Args:
        min_score, min_overlap: see :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`.
        lr_mult: factor on the schedule's learning rate after step 0.
    """

    def __init__(
        self, segmenter: Segmenter, min_score: float = 0.0, min_overlap: float = 0.5, lr_mult: float = 1.0
    ) -> None:
        super().__init__(segmenter, lr_mult)
        self.min_score = at_least_zero("min_score", min_score)
        self.min_overlap = at_least_zero("min_overlap", min_overlap)

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        labelled = with_pseudo_labels(clip, old, self.min_score, self.min_overlap)
        return self.segmenter.criterion(new, labelled.targets)
