"""A cell: one process among those that make a table."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from cvis.runs.paths import RunFolder


@dataclass(frozen=True)
class Cell:
    """One process.

    Attributes:
        name: ``row/seed0``; ``row/seed0/step0`` of a cell that ends after step 0, whose model others take.
        words: of its command line, behind ``cvis``.
        folder: of its run.
        log: what it prints, of all attempts.
        after: the name of the cell that must be done before; empty if none.
        place: the working directory.
        program: what takes the words.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    log: Path
    after: str = ""
    place: Path = Path()
    program: tuple[str, ...] = (sys.executable, "-m", "cvis.executors.child")

    @property
    def stops_early(self) -> bool:
        return self.name.endswith("/step0")

    @property
    def is_done(self) -> bool:
        """By the files: they are the only memory."""
        run = RunFolder(self.folder)
        return run.metrics.is_file() or (self.stops_early and run.step(0).metrics.is_file())
