"""Which number of a column is the best, and which the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cvis.report.rows import Row, printed


def ranked(rows: Sequence[Row], better: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows with the ranks of their cells: 1 the best mean of a column, 2 the second, 0 all others.

    Means that print alike share a rank, and the next other one is the second: a difference that no reader can see
    decides nothing. An upper bound has no rank, nor has a number without another to compare it with.

    Args:
        better: column -> ``higher`` or ``lower``.
    """
    cells = [dict(row.cells) for row in rows]
    for column, direction in better.items():
        means = {
            i: float(printed(mean))
            for i, row in enumerate(rows)
            if not row.upper_bound and (mean := row.cells[column].mean) is not None
        }
        if len(means) < 2:
            continue
        best = sorted(set(means.values()), reverse=direction == "higher")[:2]
        for i, mean in means.items():
            if mean in best:
                cells[i][column] = replace(cells[i][column], rank=best.index(mean) + 1)
    return tuple(replace(row, cells=ranked_cells) for row, ranked_cells in zip(rows, cells, strict=True))
