"""A cell: one process among those that make a table."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cvis.runs.paths import RunFolder


@dataclass(frozen=True)
class Cell:
    """One process.

    Attributes:
        name: ``row/seed0``; ``row/seed0/step0`` of a cell that ends after step 0, whose model others take.
        words: of its command line, behind ``cvis``.
        folder: of its run.
        after: the name of the cell that must be done before; empty if none.
        given_step0: its step-0 model is made by another cell, or has been made.
        place: the working directory.
        program: what takes the words.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    after: str = ""
    given_step0: bool = False
    place: Path = Path()
    program: tuple[str, ...] = (sys.executable, "-m", "cvis.executors.child")

    @cached_property
    def log(self) -> Path:
        """What it prints, of all attempts: ``<runs>/logs``, beside the streams."""
        return self.folder.parents[3] / "logs" / f"{'-'.join(self.folder.parts[-4:])}.log"

    @property
    def row(self) -> str:
        """What it is a seed of."""
        return self.name.removesuffix("/step0").rpartition("/")[0]

    @property
    def stops_early(self) -> bool:
        return self.name.endswith("/step0")

    @property
    def is_done(self) -> bool:
        """By the files: they are the only memory."""
        run = RunFolder(self.folder)
        return run.metrics.is_file() or (self.stops_early and run.step(0).metrics.is_file())
