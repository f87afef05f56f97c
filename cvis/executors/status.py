"""How far the cells of a table are, by the files alone: from any machine that sees their folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from cvis.executors.cells import Cell
from cvis.executors.process import exit_code, is_locked, last_lines
from cvis.runs.paths import RunFolder

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
    locked, begun = is_locked(cell.folder), cell.log.is_file()
    code = exit_code(cell.log) if begun else None
    says = "".join(last_lines(cell.log)) if begun else ""
    if locked or (begun and code is None and _speaks(cell)):
        return Status(cell, "running", _finished(cell), says)
    if code == 0 or not begun:  # 0: no more than its step 0 was wanted so far
        return Status(cell, "waiting", _finished(cell))
    if code is None or code in STOPPED:
        return Status(cell, "stopped", _finished(cell))
    return Status(cell, "failed", _finished(cell), says)


def _finished(cell: Cell) -> int:
    return sum(step.is_trained for step in RunFolder(cell.folder).steps())


def _speaks(cell: Cell) -> bool:
    try:
        return time.time() - cell.log.stat().st_mtime < SILENT_S
    except FileNotFoundError:
        return False
