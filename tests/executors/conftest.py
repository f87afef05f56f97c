"""Cells without models: the executors see processes, files and locks, and no more."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from toy_cells import PROGRAM

from cvis.executors.cells import Cell
from cvis.executors.ray import PATIENCE

os.environ.setdefault(*PATIENCE)

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))  # whose finished runs are no one's


@pytest.fixture
def toy(tmp_path):
    """Makes a cell: ``toy(name, *options, after="", seconds=0)``."""

    def cell(name: str, *options: str, after: str = "", seconds: float = 0.0) -> Cell:
        folder = tmp_path / "runs" / "stream" / "model" / name.removesuffix("/step0")
        stop = ("--stop-after", "0") if name.endswith("/step0") else ()
        words = ("run", str(folder), str(seconds), *options, *stop)
        return Cell(name, words, folder, after, place=tmp_path, program=PROGRAM)

    return cell
