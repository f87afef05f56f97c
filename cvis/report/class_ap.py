"""The metrics of single classes as a run's file has them, checked on reading."""

from __future__ import annotations

from collections.abc import Mapping

from cvis.errors import UserError
from cvis.evaluation.continual import APMatrix, is_defined
from cvis.runs.result import RunResult


def class_values(run: RunResult, step: int, metric: str = "AP") -> dict[int, float]:
    """Data-set id -> value after a step, of the classes that have one; empty in files without them.

    Raises:
        UserError: ``per_class`` is not what the schema has there.
    """
    per_class = run.steps[step].get("per_class")
    where = f"{run.file}: steps[{step}].per_class"
    if per_class is None:
        return {}
    if not isinstance(per_class, Mapping):
        raise UserError(f"{where}: {per_class!r:.60}: is not a table of classes; run the same `cvis run` again")
    defined = {}
    for key, metrics in per_class.items():
        value = metrics.get(metric) if isinstance(metrics, Mapping) else metrics
        fits = isinstance(metrics, Mapping) and (value is None or type(value) in (int, float))
        if not fits or not str(key).isdecimal():
            raise UserError(f"{where}.{key}: {value!r:.60}: is not a number of a class; run the same `cvis run` again")
        if is_defined(value):
            defined[int(key)] = float(value)
    return defined


def learned_at(run: RunResult) -> dict[int, int]:
    """Class -> the step that brought it, in learning order. Joint training has all classes in its one step."""
    return {c: t for t, classes in enumerate(run.learned) for c in classes}


def ap_matrix(run: RunResult) -> APMatrix:
    """The AP of every class after every step; without tasks where the file has no classes."""
    learned, steps = learned_at(run), range(len(run.steps))
    tasks = tuple(tuple(c for c, since in learned.items() if since == t) for t in steps)
    return APMatrix(tasks, tuple(class_values(run, t) for t in steps))
