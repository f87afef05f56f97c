"""The table of a sweep: its rows in their own order, with check marks for what was on, as ablations are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cvis.evaluation.measures import heading
from cvis.report.layout import number, random_note
from cvis.report.table import Row, comparison, per_step
from cvis.report.value import Cell, Table, numbers, texts, words
from cvis.runs.protocol import Differences
from cvis.runs.result import RunResult

METRICS = ("mAP", "AP50", "AP75", "AR1", "AR10", "FR")
"""The columns of CRISP's Table VII."""
STEP_METRIC = "mAP_all"
"""The metric of its Table VIII, one column per step."""
CHECK = "✓"


@dataclass(frozen=True)
class SweepTable:
    """Rows of a sweep that have finished runs, over their seeds."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    marks: tuple[dict[str, bool], ...]  # of each row: heading -> was it on
    apart: dict[str, Differences]  # row -> protocol keys in which it differs from most: (here, there)

    def table(self) -> Table:
        rows = []
        for row, marks in zip(self.rows, self.marks, strict=True):
            checks = (CHECK if on else "" for on in marks.values())
            values = (number(row.cells[column]) for column in self.columns)
            rows.append((*texts(row.name, *checks), Cell(str(len(row.seeds))), *values))
        parts = self.marks[0] if self.marks else ()
        return Table((*words("row", *parts), *numbers("seeds", *map(heading, self.columns))), tuple(rows))

    def notes(self) -> list[str]:
        """What must be said below it."""
        apart = []
        for learner, differs in self.apart.items():
            keys = "; ".join(f"{key} = {here!r}, not {there!r}" for key, (here, there) in differs.items())
            apart.append(f"{learner}: another protocol: {keys}")
        return apart + random_note(self.rows)

    def content(self) -> list[dict[str, Any]]:
        """The rows as plain values: unrounded means and deviations."""
        return [
            {
                "name": row.learner,
                "marks": marks,
                "seeds": list(row.seeds),
                "text_encoder": row.text_encoder and asdict(row.text_encoder),
                "protocol_differs": {k: list(pair) for k, pair in self.apart.get(row.learner, {}).items()},
                "metrics": row.metrics(),
            }
            for row, marks in zip(self.rows, self.marks, strict=True)
        ]


def sweep_table(runs: Sequence[RunResult], marks: Mapping[str, dict[str, bool]], steps: bool = False) -> SweepTable:
    """One row for every name in ``marks`` that has runs, in that order; mean and deviation over seeds.

    Args:
        marks: name of a row -> its check marks, of the same headings in all rows.
        steps: a column per step of the stream instead of one per metric.
    """
    groups = per_step(runs, STEP_METRIC) if steps else comparison(runs, METRICS)
    rows = [(row, block.differs) for group in groups for block in group.blocks for row in block.rows]
    ordered = [(row, differs) for name in marks for row, differs in rows if row.learner == name]
    return SweepTable(
        columns=max((group.columns for group in groups), key=len, default=()),
        rows=tuple(row for row, _ in ordered),
        marks=tuple(marks[row.learner] for row, _ in ordered),
        apart={row.learner: differs for row, differs in ordered if differs},
    )
