"""Fine-tuning with pseudo-labels: what the old model sees is a target beside the annotations."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from cvis.learners.distill import Teacher, TeacherLearner, with_pseudo_labels
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Weight
from cvis.segmenters import Segmenter
from cvis.segmenters.contract import ClipTracks
from cvis.segmenters.outputs import Maps
from cvis.types import Clip


@LEARNERS.register_module(name="pseudo")
class Pseudo(TeacherLearner):
    """Fine-tuning on the annotations and the old model's pseudo-labels, and no other help against forgetting.

    Args:
        min_score, min_overlap: see :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`.
        lr_mult: factor on the schedule's learning rate after step 0.
    """

    requires = (ClipTracks,)

    def __init__(
        self, segmenter: Segmenter, min_score: Weight = 0.0, min_overlap: Weight = 0.5, **teacher: Any
    ) -> None:
        super().__init__(segmenter, **teacher)
        self.min_score, self.min_overlap = min_score, min_overlap

    def later_loss(self, clip: Clip, maps: Maps | None, teacher: Teacher[ClipTracks]) -> dict[str, Tensor]:
        seen = teacher.segmenter.clip_tracks(clip, teacher.maps(maps))
        labelled = with_pseudo_labels(clip, seen, teacher.segmenter.classes, self.min_score, self.min_overlap)
        return self.segmenter.losses(labelled, maps)
