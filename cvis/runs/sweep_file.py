"""A table of runs as a data file, ``configs/sweeps/*.toml``: read, checked, and where its runs lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cvis.errors import UserError, did_you_mean
from cvis.files import read_toml, shipped
from cvis.runs.folder import run_folder, short_name
from cvis.validation import validate


class Row(BaseModel):
    """One row: a learner with settings, over all seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # of the runs, and of the row in every table
    learner: str = ""  # default: the sweep's
    settings: list[str] = []  # as after --set

    def run_name(self, preset: str | None) -> str:
        """Under a preset the same row is another run."""
        return f"{self.name}-{short_name(preset)}" if preset else self.name


class Sweep(BaseModel):
    """The rows of a table, and which of their settings it shows as check marks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # of the file
    scenario: str = Field(min_length=1)  # where the command line names none
    learner: str = ""  # of rows that name none
    marks: dict[str, str] = {}  # heading -> key of the configuration, marked where it is true, or a number but 0
    rows: list[Row] = Field(min_length=1)

    def folders(
        self, runs: str, stream: str, segmenter: str, preset: str | None, seeds: Iterable[int]
    ) -> dict[str, Path]:
        """``row/seed0`` -> the folder of that run, in the order of :func:`cvis.engine.sweep.plan`.

        Names are enough for it: nothing is resolved, and no learner is imported.

        Args:
            stream: its name.
        """
        names = {"segmenter": short_name(segmenter)}
        rows = [row.run_name(preset) for row in self.rows]
        return {
            f"{row}/seed{seed}": run_folder(
                {"names": {**names, "run": row}, "runtime": {"runs": runs, "seed": seed}}, stream
            )
            for seed in seeds
            for row in rows
        }


def read_sweep(name_or_path: str) -> Sweep:
    """A shipped sweep by its name, or one's own by the path of its toml file.

    Raises:
        UserError: no such file, not TOML, a field that does not fit, or two rows of one name.
    """
    folder = shipped("configs") / "sweeps"
    path = Path(name_or_path).expanduser() if name_or_path.endswith(".toml") else folder / f"{name_or_path}.toml"
    if not path.is_file():
        hint = did_you_mean(name_or_path, sorted(p.stem for p in folder.glob("*.toml")))
        raise UserError(f"sweep: {name_or_path!r} does not exist; {hint} (or give a .toml file)")
    sweep = validate(Sweep, {"name": path.stem, **read_toml(path)}, str(path))
    for name, count in Counter(row.name for row in sweep.rows).items():
        if count > 1:
            raise UserError(f"{path}: rows: name: {name!r}: stands twice; a row is known by its name")
    for row in sweep.rows:
        if not (row.learner or sweep.learner):
            raise UserError(f"{path}: rows: {row.name}: learner: is missing; give it here or above all rows")
    return sweep
