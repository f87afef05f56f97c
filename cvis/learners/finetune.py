"""Fine-tuning: the lower bound. Nothing is done against forgetting."""

from __future__ import annotations

from torch import Tensor

from cvis.learners.analytic import AnalyticSwitch
from cvis.learners.registry import LEARNERS
from cvis.types import Clip


@LEARNERS.register_module(name="finetune")
class FineTune(AnalyticSwitch):
    """Train on each task as if it were the only one, from the weights of the task before.

    Objects of old classes are unlabelled in a new task, so they become "no object" targets: the background
    shift that makes this collapse (Cermelli et al., CVPR 2020).

    Args:
        analytic: the settings of :class:`~cvis.learners.analytic.AnalyticSwitch`: scores times what the backbone's maps
            say of a track, by regression in closed form.
    """

    static_graph = True

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        return self.segmenter.losses(clip)
