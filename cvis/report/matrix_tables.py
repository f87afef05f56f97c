"""The matrices of learners and segmenters as a document: for people with notes, for programs with states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from cvis.evaluation.measures import MEASURES, heading
from cvis.report import layout
from cvis.report.matrix import Matrix, MatrixRow, Pair
from cvis.report.result_tables import reasons
from cvis.report.value import Cell, Column, Order, Section, Table, numbers, words
from cvis.runs.find import LeftOut
from cvis.runs.protocol import describe

OPEN = "open: no run of it yet."
VARIANT_NOTE = "* a variant: the method is not as its paper has it."
TAU = "Kendall's tau-b of two columns"
TAU_NOTE = (
    "Tau-b: 1 where two models put the learners that both have in one order, -1 where the order is reversed; upper "
    "bounds are in none. Interval: 95 % over seeds (Bayesian bootstrap), what other seeds of these learners would "
    "give; of two or three seeds it is too narrow rather than too wide. Where some have one seed, a second line is of "
    "the others."
)


@dataclass(frozen=True)
class MatrixTables:
    """The matrices of one stream.

    Records: a line for each cell; ``state`` is done, open or undefined, ``reason`` why a pair is not defined.

    Attributes:
        undefined: why a learner cannot work with a segmenter.
        left_out: runs that are in none.
        set_apart: runs of a cell that another one claims under another protocol.
    """

    matrices: Sequence[Matrix]
    undefined: Mapping[Pair, str] = field(default_factory=dict)
    left_out: Sequence[LeftOut] = ()
    set_apart: Sequence[LeftOut] = ()

    legend: ClassVar[str] = layout.LEGEND
    fields: ClassVar[tuple[str, ...]] = (
        *("scenario", "block", "differs", "metric", "segmenter", "learner", "name", "upper_bound", "state", "reason"),
        *("variant", "seeds", "run_ids", "mean", "std", "n", "rank"),
    )

    def sections(self) -> list[Section]:
        return [
            Section(
                f"{matrix.scenario}  {MEASURES[matrix.metric].title or heading(matrix.metric)}",
                tuple(self.tables(matrix)),
                tuple(layout.random_note([row for line in matrix.rows for row in line.cells.values()])),
            )
            for matrix in self.matrices
        ]

    def tables(self, matrix: Matrix, id: str = "") -> Iterator[Table]:
        """The matrix, and with two columns how far they agree."""
        whys = [why for row in matrix.rows for name in matrix.segmenters if (why := self._why(row, name))]
        marks = {why: f"[{i}]" for i, why in enumerate(dict.fromkeys(whys), 1)}
        rows = []
        for row in matrix.rows:
            cells = (self._cell(matrix, row, name, marks) for name in matrix.segmenters)
            rows.append((Cell(layout.name(row), row.name), Cell(str(row.n), float(row.n)), *cells))
        printed = {cell.text for cells in rows for cell in cells}
        notes = [f"{mark} not defined: {why}." for why, mark in marks.items()]
        notes += [OPEN] if "open" in printed else []
        notes += [VARIANT_NOTE] if any(text.endswith("*") for text in printed) else []
        notes += [f"{name} trains with {describe(keys)}." for name, keys in matrix.trained.items() if keys]
        other = f"another protocol, not comparable with the table above: {describe(matrix.differs)}"
        title = other if matrix.differs else ""
        first: Order = "descending" if MEASURES[matrix.metric].direction == "higher" else "ascending"
        columns = (*words("learner"), *numbers("seeds"), *(Column(name, first=first) for name in matrix.segmenters))
        bounds = sum(row.upper_bound for row in matrix.rows)
        yield Table(columns, tuple(rows), title, title, tuple(notes), "ours", id, bounds)
        if len(matrix.segmenters) > 1:
            yield _correlations(matrix, f"{id}-tau")

    def records(self) -> Iterator[dict[str, Any]]:
        for index, matrix in enumerate(self.matrices, 1):
            place = {"scenario": matrix.scenario, "block": index, "metric": matrix.metric}
            place["differs"] = describe(matrix.differs, limit=len(matrix.differs))
            for row in matrix.rows:
                about = {"learner": row.learner, "name": row.name, "upper_bound": row.upper_bound}
                for name in matrix.segmenters:
                    yield {**place, "segmenter": name, **about, **self._plain(matrix, row, name)}

    def content(self) -> dict[str, Any]:
        """Everything, unrounded.

        ::

            {"schema": 1, "matrices": [matrix], "left_out": [{"path", "reason"}], "set_apart": [{"path", "reason"}]}

            matrix: {"scenario", "metric", "segmenters",
                     "differs": {key: {"here", "first"}},           against the first matrix
                     "rows": [{"learner", "name", "upper_bound", "cells": {segmenter: cell}}],
                     "correlations": [{"here", "there", "tau", "low", "high", "n", "lacks"}]}
            cell:   {"state": "done", "variant", "seeds", "run_ids", "mean", "std", "n", "rank"}
                    or {"state": "open"} or {"state": "undefined", "reason"}
        """
        return {
            "schema": 1,
            "matrices": [self._content(matrix) for matrix in self.matrices],
            "left_out": reasons(self.left_out),
            "set_apart": reasons(self.set_apart),
        }

    def _content(self, matrix: Matrix) -> dict[str, Any]:
        rows = [
            {
                "learner": row.learner,
                "name": row.name,
                "upper_bound": row.upper_bound,
                "cells": {name: self._plain(matrix, row, name) for name in matrix.segmenters},
            }
            for row in matrix.rows
        ]
        return {
            "scenario": matrix.scenario,
            "metric": matrix.metric,
            "segmenters": list(matrix.segmenters),
            "differs": {key: {"here": here, "first": first} for key, (here, first) in matrix.differs.items()},
            "rows": rows,
            "correlations": [
                {"here": here, "there": there, **found._asdict()} for here, there, found in matrix.correlations()
            ],
        }

    def _why(self, row: MatrixRow, segmenter: str) -> str:
        """Why there is nothing to run; empty where there is, or has been."""
        return "" if segmenter in row.cells else self.undefined.get((row.learner, segmenter), "")

    def _cell(self, matrix: Matrix, row: MatrixRow, segmenter: str, marks: Mapping[str, str]) -> Cell:
        found = matrix.value(row, segmenter)
        if found is None:
            why = self._why(row, segmenter)
            return Cell(marks[why], hint=why) if why else Cell("open")
        shown = layout.number(found, row.n)
        text = shown.text + "*" * matrix.is_variant(row, segmenter)
        return replace(shown, text=text, key=found.mean, hint=f"n = {found.n}")

    def _plain(self, matrix: Matrix, row: MatrixRow, segmenter: str) -> dict[str, Any]:
        found = matrix.value(row, segmenter)
        if found is None:
            why = self._why(row, segmenter)
            return {"state": "undefined", "reason": why} if why else {"state": "open"}
        own = row.cells[segmenter]
        about = {"variant": matrix.is_variant(row, segmenter), "seeds": list(own.seeds), "run_ids": list(own.run_ids)}
        return {"state": "done", **about, **own.metrics()[matrix.metric], "rank": found.rank}


def _correlations(matrix: Matrix, id: str) -> Table:
    rows = []
    for here, there, found in matrix.correlations():
        tau = Cell("-") if found.tau is None else Cell(f"{found.tau:.2f}", found.tau)
        interval = found.lacks if found.low is None else f"[{found.low:.2f}, {found.high:.2f}]"
        rows.append((Cell(here), Cell(there), Cell(str(found.n), float(found.n)), tau, Cell(interval)))
    columns = (*words("segmenter", "beside"), *numbers("learners", "tau-b", "interval"))
    return Table(columns, tuple(rows), TAU, TAU, (TAU_NOTE,), "difference", id)
