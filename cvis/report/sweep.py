"""The table of a sweep: its rows in their own order, with check marks for what was on, as ablations are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cvis.report.table import Row, comparison, per_step
from cvis.runs.find import RunResult

METRICS = ("mAP", "AP50", "AP75", "AR1", "AR10", "FR")
"""The columns of CRISP's Table VII."""
STEP_METRIC = "mAP_all"
"""The metric of its Table VIII, one column per step."""


@dataclass(frozen=True)
class SweepTable:
    """Rows of a sweep that have finished runs, over their seeds."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    marks: tuple[dict[str, bool], ...]  # of each row: heading -> was it on
    apart: dict[str, dict[str, tuple[Any, Any]]]  # row -> protocol keys in which it differs from most: (here, there)


def sweep_table(runs: Sequence[RunResult], marks: Mapping[str, dict[str, bool]], steps: bool = False) -> SweepTable:
    """One row for every name in ``marks`` that has runs, in that order; mean and deviation over seeds.

    Args:
        marks: name of a row -> its check marks.
        steps: a column per step of the stream instead of one per metric.
    """
    groups = per_step(runs, STEP_METRIC) if steps else comparison(runs, METRICS)
    found = [(row, block.differs) for group in groups for block in group.blocks for row in block.rows]
    ordered = [(row, differs) for name in marks for row, differs in found if row.learner == name]
    return SweepTable(
        columns=max((group.columns for group in groups), key=len, default=()),
        rows=tuple(row for row, _ in ordered),
        marks=tuple(marks[row.learner] for row, _ in ordered),
        apart={row.learner: differs for row, differs in ordered if differs},
    )


def as_json(table: SweepTable) -> list[dict[str, Any]]:
    """The rows as plain values: unrounded means and deviations."""
    return [
        {
            "name": row.learner,
            "marks": marks,
            "seeds": list(row.seeds),
            "text_encoder": row.text_encoder and asdict(row.text_encoder),
            "protocol_differs": {k: list(pair) for k, pair in table.apart.get(row.learner, {}).items()},
            "metrics": {name: {"mean": c.mean, "std": c.std, "n": c.n} for name, c in row.cells.items()},
        }
        for row, marks in zip(table.rows, table.marks, strict=True)
    ]
