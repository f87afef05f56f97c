"""Joint training: the upper bound that every table needs."""

from __future__ import annotations

from cvis.learners.base import Learner
from cvis.learners.finetune import FineTune
from cvis.learners.registry import LEARNERS
from cvis.scenario import Scenario


class AllAtOnce(Learner):
    """Of a learner its upper bound: the same with one step, of all classes."""

    own_step0 = True

    @classmethod
    def stream(cls, scenario: Scenario) -> Scenario:
        return scenario.merged()


@LEARNERS.register_module(name="joint")
class Joint(AllAtOnce, FineTune):
    """All classes at once, with the iterations of the whole stream: what is possible without the stream."""
