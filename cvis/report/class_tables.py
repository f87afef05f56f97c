"""The class x step matrix of every row of the result table, and what was forgotten of every class."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from cvis.report.class_views import ClassByStep, ClassForgetting, class_by_step, class_forgetting
from cvis.report.result_tables import reasons
from cvis.report.rows import printed
from cvis.report.value import Section, Table, numbers, texts, words
from cvis.report.views import Entry, entries
from cvis.runs.find import LeftOut
from cvis.runs.result import RunResult

READING = (
    "Mean over seeds, x100; - before a class was learned, and where nothing can be forgotten yet. best: after any step "
    "but the last; forgetting: best minus last, in points of AP."
)


@dataclass(frozen=True)
class ClassTable:
    """One row of the result table, class by class."""

    entry: Entry
    matrix: ClassByStep
    forgetting: tuple[ClassForgetting, ...]

    @property
    def title(self) -> str:
        entry, seeds = self.entry, ", ".join(map(str, self.entry.row.seeds))
        other = f"  (another protocol: {', '.join(entry.differs)})" if entry.differs else ""
        return f"{entry.scenario}  {entry.segmenter}  {entry.label}  {self.matrix.metric}  seeds {seeds}{other}"

    def table(self) -> Table:
        lines = zip(self.matrix.values, self.forgetting, strict=True)
        rows = [
            texts(lost.name, str(lost.learned_at), *map(_printed, [*values, lost.best, lost.forgetting]))
            for values, lost in lines
        ]
        steps = (f"step {t}" for t in self.matrix.steps)
        columns = (*words("class"), *numbers("new at", *steps, "best", "forgetting"))
        return Table(columns, tuple(rows), notes=self._notes(), kind="classes")

    def _notes(self) -> tuple[str, ...]:
        """Names the classes that no mean holds."""
        names = dict(zip(self.matrix.classes, self.matrix.names, strict=True))
        gone = ", ".join(names[c] for c in self.matrix.no_ground_truth)
        return (f"Without ground truth in the test videos: {gone}.",) if gone else ()

    def records(self) -> Iterator[dict[str, Any]]:
        row, matrix = self._row(), self.matrix
        for lost, values in zip(self.forgetting, matrix.values, strict=True):
            about = {"class_id": lost.category_id, "class": lost.name, "learned_at": lost.learned_at}
            about |= {"first_AP": _known(lost.first), "best_AP": _known(lost.best), "final_AP": _known(lost.final)}
            about |= {"forgetting": _known(lost.forgetting), "metric": matrix.metric}
            for step, value in zip(matrix.steps, values, strict=True):
                yield {**row, **about, "step": step, "value": _known(value)}

    def content(self) -> dict[str, Any]:
        return {**self._row(), **self.matrix.as_json(), "forgetting": [lost.as_json() for lost in self.forgetting]}

    def _row(self) -> dict[str, Any]:
        entry = self.entry
        return {
            "scenario": entry.scenario,
            "segmenter": entry.segmenter,
            "block": entry.block + 1,
            "learner": entry.row.learner,
            "name": entry.label,
            "seeds": list(entry.row.seeds),
            "run_ids": list(entry.row.run_ids),
        }


@dataclass(frozen=True)
class ClassTables:
    """Tables of classes as a document; records: a line for each row, class and step."""

    tables: Sequence[ClassTable]
    left_out: Sequence[LeftOut] = ()

    legend: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = (
        *("scenario", "segmenter", "block", "learner", "name", "seeds", "run_ids", "class_id", "class", "learned_at"),
        *("metric", "step", "value", "first_AP", "best_AP", "final_AP", "forgetting"),
    )

    def sections(self) -> list[Section]:
        return [Section(table.title, (table.table(),), (READING,)) for table in self.tables]

    def records(self) -> Iterator[dict[str, Any]]:
        for table in self.tables:
            yield from table.records()

    def content(self) -> dict[str, Any]:
        per_class = [table.content() for table in self.tables]
        return {"schema": 1, "per_class": per_class, "left_out": reasons(self.left_out)}


def class_tables(runs: Sequence[RunResult], metric: str = "AP") -> list[ClassTable]:
    """A table per row of the result table, in its order.

    Raises:
        UserError: an unknown metric, a damaged file, or seeds whose classes differ.
    """
    return [
        ClassTable(entry, class_by_step(entry.runs, metric), tuple(class_forgetting(entry.runs)))
        for entry in entries(runs)
    ]


def _printed(value: float) -> str:
    return "-" if math.isnan(value) else printed(float(value))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
