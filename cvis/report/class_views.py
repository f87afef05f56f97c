"""What happened to every single class: its AP after each step, and what of it was forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cvis.errors import UserError, did_you_mean
from cvis.evaluation.continual import classwise_forgetting
from cvis.evaluation.measures import CLASS_METRICS
from cvis.runs.result import RunResult

Runs = RunResult | Sequence[RunResult]
"""One run, or the seeds of one row: their mean is shown."""


@dataclass(frozen=True, eq=False)
class ClassByStep:
    """A metric of K classes after each of T steps, x100.

    Attributes:
        classes: K data-set ids, in learning order.
        names: K names, the id where the file has none.
        learned_at: K steps, at which each class was new.
        steps: T.
        values: [K, T] float, nan before the class was learned and where it has no ground truth.
        no_ground_truth: classes that the test videos do not hold at all, or not at every step.
    """

    classes: tuple[int, ...]
    names: tuple[str, ...]
    learned_at: tuple[int, ...]
    steps: tuple[int, ...]
    values: np.ndarray
    no_ground_truth: tuple[int, ...]
    metric: str = "AP"
    n: int = 1  # seeds that ``values`` is the mean of

    def as_json(self) -> dict[str, Any]:
        """Plain values, unrounded, None for nan."""
        rows = zip(self.classes, self.names, self.learned_at, self.values, strict=True)
        classes = [
            {"id": c, "name": name, "learned_at": t, "values": [*map(known, values)]} for c, name, t, values in rows
        ]
        return {
            "metric": self.metric,
            "n": self.n,
            "steps": list(self.steps),
            "classes": classes,
            "no_ground_truth": list(self.no_ground_truth),
        }


@dataclass(frozen=True)
class ClassForgetting:
    """The way of one class, in points of AP; over seeds the mean of each number. nan where it is undefined.

    Attributes:
        first: right after its own step.
        best: the best after any step but the last (of a class of the last step: nan, it cannot be forgotten yet).
        final: after the last step.
        forgetting: Chaudhry et al.'s, ``best - final``; negative where later steps helped.
    """

    category_id: int
    name: str
    learned_at: int
    first: float
    best: float
    final: float
    forgetting: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, unrounded, None for nan."""
        return {key: known(v) if isinstance(v, float) else v for key, v in asdict(self).items()}


def class_by_step(runs: Runs, metric: str = "AP") -> ClassByStep:
    """The class x step matrix of a run, or the mean over the seeds of one row.

    A file without numbers per class, as of an older version, gives a matrix of nan.

    Raises:
        UserError: an unknown metric, a damaged file, or seeds whose classes differ.
    """
    if metric not in CLASS_METRICS:
        raise UserError(f"--metric {metric}: no metric of a single class; {did_you_mean(metric, CLASS_METRICS)}")
    seeds = _same_stream(runs)
    learned, steps = seeds[0].learned_at, range(len(seeds[0].steps))
    values = np.mean([_matrix(run, metric) for run in seeds], axis=0)  # nan in one seed: nan
    return ClassByStep(
        classes=tuple(learned),
        names=tuple(seeds[0].classes[c] for c in learned),
        learned_at=tuple(learned.values()),
        steps=tuple(steps),
        values=values,
        no_ground_truth=tuple(
            c for (c, since), row in zip(learned.items(), values, strict=True) if np.isnan(row[since:]).any()
        ),
        metric=metric,
        n=len(seeds),
    )


def class_forgetting(runs: Runs) -> list[ClassForgetting]:
    """First, best and final AP of every class and what was forgotten, in learning order.

    Raises:
        UserError: a damaged file, or seeds whose classes differ.
    """
    seeds = _same_stream(runs)
    numbers = np.mean([_forgetting(run) for run in seeds], axis=0)
    learned, names = seeds[0].learned_at.items(), seeds[0].classes
    return [ClassForgetting(c, names[c], t, *map(float, row)) for (c, t), row in zip(learned, numbers, strict=True)]


def known(value: float) -> float | None:
    """For JSON, which has no nan.

    >>> known(1.5), known(float("nan"))
    (1.5, None)
    """
    return None if np.isnan(value) else float(value)


def _matrix(run: RunResult, metric: str = "AP") -> np.ndarray:
    """[K, T], nan before a class was learned."""
    after = [run.class_values(t, metric) for t in range(len(run.steps))]
    rows = [
        [values.get(c, np.nan) if t >= since else np.nan for t, values in enumerate(after)]
        for c, since in run.learned_at.items()
    ]
    return np.array(rows, float).reshape(-1, len(after))


def _forgetting(run: RunResult) -> np.ndarray:
    """[K, 4]: first, best, final, forgetting."""
    lost = classwise_forgetting(run.ap_matrix)
    rows = [
        (values[since], values[-1] + lost.get(c, np.nan), values[-1], lost.get(c, np.nan))
        for (c, since), values in zip(run.learned_at.items(), _matrix(run), strict=True)
    ]
    return np.array(rows, float).reshape(-1, 4)


def _same_stream(runs: Runs) -> Sequence[RunResult]:
    seeds = [runs] if isinstance(runs, RunResult) else runs
    first = seeds[0]
    for run in seeds[1:]:
        if run.learned != first.learned:
            raise UserError(
                f"{run.file}: groups: has other classes or steps than {first.path}; "
                "these are not seeds of one stream: give one of them"
            )
    return seeds
