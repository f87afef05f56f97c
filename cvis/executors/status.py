"""How far the cells of a table are, by the files alone: from any machine that sees their folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from cvis.errors import UserError
from cvis.executors.cells import Cell
from cvis.executors.process import exit_code, is_locked, last_lines
from cvis.runs.paths import RunFolder
from cvis.runs.record import read_json

State = Literal["done", "running", "failed", "stopped", "waiting"]
SILENT_S = 600
"""A cell of another machine whose log has been silent for so long is not taken to run: locks may not reach there."""
STOPPED = (130, 143)
"""Exit codes of a run that was told to stop: it is saved, and nothing is wrong with it."""


@dataclass(frozen=True)
class Status:
    """Of one cell.

    Attributes:
        steps: that are trained, tested or not.
        says: of a cell that runs, its last line of progress; of one that failed, why.
    """

    cell: Cell
    state: State
    steps: int
    says: str = ""


def status_of(cell: Cell) -> Status:
    """What the files say of a cell; one that was never begun waits."""
    if cell.is_done:
        return Status(cell, "done", _finished(cell))
    says = "".join(last_lines(cell.log))
    code = exit_code(cell.log)
    if is_locked(cell.folder) or (code is None and _speaks(cell)):
        return Status(cell, "running", _finished(cell), says)
    if code is None or code in STOPPED:
        return Status(cell, "stopped" if cell.log.is_file() else "waiting", _finished(cell))
    return Status(cell, "failed", _finished(cell), says)


def costs(cells: Sequence[Cell], measured: Mapping[tuple[str, ...], float]) -> list[float | None]:
    """Seconds that each cell is expected to take; None where nothing like it was measured.

    Args:
        measured: seconds of finished runs, by (stream, segmenter, row), as :func:`measured_seconds` gives.
    """
    expected: list[float | None] = []
    for cell in cells:
        stream, segmenter, row = cell.folder.parts[-4:-1]
        own = measured.get((stream, segmenter, row))
        like = [s for (a, b, _), s in measured.items() if (a, b) == (stream, segmenter)]
        share = 0.0 if cell.stops_early else 1.0  # its step is part of the run that it begins
        found = own if own is not None else fmean(like) if like else None
        expected.append(None if found is None else share * found)
    return expected


def measured_seconds(cells: Sequence[Cell]) -> dict[tuple[str, ...], float]:
    """(stream, segmenter, row) -> mean seconds of training and testing of its finished runs, of these cells' seeds or
    others: a step 0 that was taken from the store counts with the time that it took once."""
    found: dict[tuple[str, ...], float] = {}
    for row in {cell.folder.parent for cell in cells}:
        seconds = [_seconds(RunFolder(seed)) for seed in row.glob("seed*") if RunFolder(seed).metrics.is_file()]
        if known := [value for value in seconds if value is not None]:
            found[row.parts[-3:]] = fmean(known)
    return found


def _seconds(run: RunFolder) -> float | None:
    try:
        content: dict[str, Any] = read_json(run.metrics) or {}
        return float(sum(step["train_s"] + step["eval_s"] for step in content["steps"]))
    except (UserError, KeyError, TypeError, ValueError):  # it costs an estimate, no more
        return None


def _finished(cell: Cell) -> int:
    return sum(step.is_trained for step in RunFolder(cell.folder).steps())


def _speaks(cell: Cell) -> bool:
    try:
        return time.time() - cell.log.stat().st_mtime < SILENT_S
    except FileNotFoundError:
        return False
