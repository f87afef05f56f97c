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
    where = f"{run.path / 'metrics.json'}: steps[{step}].per_class"
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
    if len(run.groups) == len(run.steps):
        return {c: t for t, group in enumerate(run.groups) for c in group}
    brought: dict[int, int] = {}
    for t, step in enumerate(run.steps):
        group = step.get("new_classes") or ()
        if not isinstance(group, list | tuple) or any(type(c) is not int for c in group):
            raise UserError(
                f"{run.path / 'metrics.json'}: steps[{t}].new_classes: {group!r:.60}: is not a list of category ids; "
                "run the same `cvis run` again"
            )
        brought.update({c: t for c in group if c not in brought})
    order = [c for group in run.groups for c in group if c in brought]
    return {c: brought[c] for c in dict.fromkeys([*order, *brought])}


def ap_matrix(run: RunResult) -> APMatrix:
    """The AP of every class after every step; without tasks where the file has no classes."""
    learned, steps = learned_at(run), range(len(run.steps))
    tasks = tuple(tuple(c for c, since in learned.items() if since == t) for t in steps)
    return APMatrix(tasks, tuple(class_values(run, t) for t in steps))
