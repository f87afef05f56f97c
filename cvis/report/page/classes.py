"""The class x step matrix of a learner, and what it forgot of each class."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from cvis.report.class_views import class_by_step, class_forgetting
from cvis.report.page.values import Option
from cvis.report.value import Cell, Column, Table
from cvis.runs.result import RunResult

FORGOTTEN = "The best AP after any earlier step - AP after the last one, in points; negative where later steps helped."


def class_option(name: str, runs: Sequence[RunResult], id: str) -> Option:
    """The AP of every class after every step, mean over the seeds of one learner."""
    matrix, lost = class_by_step(runs), class_forgetting(runs)
    columns = (
        Column("class", numeric=False, first="ascending"),
        Column("since", "The step that brings the class.", first="ascending"),
        *(Column(f"step {t}", f"AP after step {t}") for t in matrix.steps),
        Column("forgotten", FORGOTTEN),
    )
    rows = tuple(
        (
            Cell(one.name, one.name),
            Cell(str(one.learned_at), float(one.learned_at)),
            *(_ap(float(value), t >= one.learned_at) for t, value in zip(matrix.steps, values, strict=True)),
            _points(one.forgetting),
        )
        for one, values in zip(lost, matrix.values, strict=True)
    )
    over = f"mean over {len(runs)} seeds" if len(runs) > 1 else f"seed {runs[0].seed}"
    caption = f"AP of every class after every step of {runs[0].scenario}: {name}, {over}"
    table = Table(columns, rows, caption, kind="matrix", id=f"{id}-table")
    return Option(id, name, (table,))


def _ap(value: float, learned: bool) -> Cell:
    if isnan(value):
        return Cell("-", hint="no ground truth") if learned else Cell("·", hint="not learned yet")
    return Cell(f"{value:.1f}", value, heat=min(max(value / 100, 0.0), 1.0))


def _points(value: float) -> Cell:
    return Cell("-") if isnan(value) else Cell(f"{round(value, 1) + 0.0:.1f}", value)
