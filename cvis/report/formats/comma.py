"""Tables as comma-separated values: a line for each row and metric, which is what data frames like best."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from cvis.report.rows import Block, Group, Row
from cvis.runs.protocol import describe

COLUMNS = (
    *("scenario", "segmenter", "block", "differs", "source", "learner", "name", "init", "upper_bound"),
    *("seeds", "run_ids", "metric", "step", "mean", "std", "n", "rank"),
    *("baseline", "difference", "ci_low", "ci_high", "pairs", "note"),
)
"""``block``: rows may be compared only if it is equal, within a scenario and segmenter. ``differs``: the protocol keys
in which the block differs from block 1. ``seeds``, ``run_ids``: separated by blanks, in one order. ``step``: of the
stream, empty for metrics of the whole run. ``std``: over seeds, n - 1. ``rank``: 1 the best of the block, 2 the
second, 0 others. ``difference`` to the row called ``baseline`` over ``pairs`` seeds, with its 95 % interval."""


def render(groups: Sequence[Group]) -> str:
    """Numbers unrounded; empty where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for group in groups:
        for index, block in enumerate(group.blocks, 1):
            for row in block.rows:
                for line in _lines(group, index, block, row):
                    writer.writerow({key: cell(value) for key, value in line.items()})
    return text.getvalue()


def cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula begins with an apostrophe, which makes it text; numbers stay.

    >>> cell("=1+1"), cell("crisp"), cell(-2.5)
    ("'=1+1", 'crisp', -2.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _lines(group: Group, index: int, block: Block, row: Row) -> Iterator[dict[str, Any]]:
    own = {
        "scenario": group.scenario,
        "segmenter": group.segmenter,
        "block": index,
        "differs": describe(block.differs, limit=len(block.differs)),
        "source": row.source,
        "learner": row.learner,
        "name": row.name,
        "init": row.init,
        "upper_bound": int(row.upper_bound),
        "seeds": " ".join(map(str, row.seeds)),
        "run_ids": " ".join(row.run_ids),
        "note": "; ".join([block.title, *block.notes]) if block.title else "",
    }
    for step, column in enumerate(group.columns):
        numbers = row.cells[column]
        place = {"metric": group.metric, "step": step} if group.metric else {"metric": column}
        values = {"mean": numbers.mean, "std": numbers.std, "n": numbers.n, "rank": numbers.rank}
        yield {**own, **place, **values, **_difference(block, row, column)}


def _difference(block: Block, row: Row, column: str) -> dict[str, Any]:
    if block.baseline is None:
        return {}
    for other in block.baseline.rows:
        if other.row is row:
            gain = other.cells[column]
            found = {"difference": gain.mean, "ci_low": gain.low, "ci_high": gain.high, "pairs": gain.n}
            return {"baseline": block.baseline.row.name, **found}
    return {}
