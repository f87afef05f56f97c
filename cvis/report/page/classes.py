"""The class x step matrix of a learner, and what it forgot of each class."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from cvis.report.page.values import Body, Cell, Column, Option, Table
from cvis.report.views import class_by_step, class_forgetting
from cvis.runs.find import RunResult

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
            Cell(own.name, own.name),
            Cell(str(own.learned_at), float(own.learned_at)),
            *(_ap(float(value), t >= own.learned_at) for t, value in zip(matrix.steps, values, strict=True)),
            _points(own.forgetting),
        )
        for own, values in zip(lost, matrix.values, strict=True)
    )
    over = f"mean over {len(runs)} seeds" if len(runs) > 1 else f"seed {runs[0].seed}"
    caption = f"AP of every class after every step of {runs[0].scenario}: {name}, {over}"
    table = Table(id + "-table", caption, columns, (Body(rows),), kind="matrix")
    return Option(id, name, (table,))


def _ap(value: float, learned: bool) -> Cell:
    if isnan(value):
        return Cell("-", hint="no ground truth") if learned else Cell("·", hint="not learned yet")
    return Cell(f"{value:.1f}", value, heat=min(max(value / 100, 0.0), 1.0))


def _points(value: float) -> Cell:
    return Cell("-") if isnan(value) else Cell(f"{round(value, 1) + 0.0:.1f}", value)
