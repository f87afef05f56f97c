"""The switch ``analytic_head`` of learners whose model answers as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

from pydantic import Field

from cvis.errors import UserError
from cvis.learners.analytic.head import AnalyticHead
from cvis.learners.analytic.pooling import STATISTICS, Statistic
from cvis.learners.base import Learner
from cvis.learners.settings import Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.background import class_probabilities
from cvis.segmenters.contract import AlignedQueries
from cvis.segmenters.outputs import Answers, Memory
from cvis.types import Tracks, Video


class AnalyticSwitch(Learner):
    """A learner that may multiply every score by what the analytic head says of the class.

    The head reads the backbone's maps: they are what never changes after step 0, since the pixel decoder goes on
    learning. It changes nothing in training.

    Args:
        analytic_head: multiply; see :class:`~cvis.learners.analytic.AnalyticHead`.
        analytic_statistics, analytic_ridge, analytic_temperature: of that head.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        analytic_head: bool = False,
        analytic_statistics: Annotated[Sequence[Statistic], Field(min_length=1)] = STATISTICS,
        analytic_ridge: Annotated[Weight, Field(gt=0)] = 0.1,
        analytic_temperature: Annotated[Weight, Field(gt=0)] = 0.1,
    ) -> None:
        super().__init__(segmenter)
        self.analytic: AnalyticHead | None = None
        if analytic_head:
            self.label = f"{type(self).__name__} with analytic head"
            channels = self._channels(segmenter)
            self.analytic = AnalyticHead(channels, analytic_statistics, analytic_ridge, analytic_temperature)

    def _channels(self, segmenter: Segmenter) -> Sequence[int]:
        """Of the maps that never change, which a memory has from now on."""
        if not isinstance(segmenter, AlignedQueries) or not segmenter.backbone_channels:
            what = f"learner.analytic_head: true: {type(segmenter).__name__} does not keep the maps of its backbone"
            raise UserError(f"{what}; leave it out, or choose another segmenter")
        segmenter.keeps_backbone = True
        self.needs_frozen_backbone = "learner.analytic_head: true"
        return segmenter.backbone_channels

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        if self.analytic is not None:
            self.analytic.grow(len(task.new_classes))

    def end_task(self, task: Task) -> None:
        super().end_task(task)
        if self.analytic is not None:
            self.analytic.learn(task, cast("AlignedQueries", self.segmenter))

    def predict(self, video: Video) -> Tracks:
        if (head := self.analytic) is None:
            return super().predict(video)
        model = cast("AlignedQueries", self.segmenter)

        def read(memory: Memory) -> list[Answers]:
            output = model.with_masks(memory, model.decode_queries(memory)[-1:])[0]
            scores = class_probabilities(output.logits[0])
            names = head.probabilities([head.candidates(memory, output.masks[0])], head.classifier)
            return [Answers(scores * names.to(scores), output.mask_embeddings[0], output.queries[0])]

        return model.predict(video, read)
