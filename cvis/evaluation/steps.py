"""The numbers of one step and of a whole run, as they stand in ``metrics.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cvis.evaluation.continual import APMatrix
from cvis.evaluation.measures import CLASS_METRICS, MEASURES, METRICS, STEP_METRICS

if TYPE_CHECKING:
    from cvis.evaluation.result import Result


def step_metrics(
    result: Result, classes: Sequence[int], base: Sequence[int], old: Sequence[int], new: Sequence[int]
) -> dict:
    """One step's numbers, x100, JSON-serialisable; None where a group has no class with ground truth.

    The headline numbers are over **all** classes of the scenario: those not seen yet have AP 0, as nothing
    predicts them (this is how CRISP reports). ``mAP_seen`` is over the old and the new classes.

    Args:
        result: of the step's predictions on the scenario's test videos.
        classes: every category id of the scenario.
        base: those of step 0.
        old: those seen before this step (none at step 0).
        new: those of this step.
    """
    total = result.summary(classes)
    per_class = result.per_class()
    groups = {"all": classes, "seen": (*old, *new), "base": base, "old": old, "new": new}
    return {
        "new_classes": [int(c) for c in new],
        **{f"mAP_{name}": result.summary(group)["mAP"] for name, group in groups.items()},
        **{name: total[name] for name in STEP_METRICS if name in total},
        "per_class": {str(c): {name: per_class[c][name] for name in CLASS_METRICS} for c in classes},
    }


def final_metrics(steps: Sequence[Mapping]) -> dict:
    """The run's numbers from its steps, each a dict of :func:`step_metrics`, also one read back from JSON.

    AP, AR and mAP are those of the last step over all classes; the continual measures are defined in
    :mod:`cvis.evaluation.continual` and None where undefined (a run of a single step).
    """
    last = steps[-1]
    matrix = ap_matrix(steps)
    return {
        "mAP": last["mAP_all"],
        **{name: last[name] for name in CLASS_METRICS if name in METRICS},
        **{name: measure.of(matrix) for name, measure in MEASURES.items() if measure.of},
    }


def ap_matrix(steps: Sequence[Mapping]) -> APMatrix:
    """The AP of every class after every step, from the dicts of :func:`step_metrics`.

    >>> ap_matrix([{"new_classes": [3], "per_class": {"3": {"AP": 40.0}}}]).at(0, 3)
    40.0
    """
    tasks = tuple(tuple(step["new_classes"]) for step in steps)
    values = tuple({int(c): row["AP"] for c, row in step["per_class"].items()} for step in steps)
    return APMatrix(tasks, values)
