"""Finished runs in folders and bundles: find their ``metrics.json``, and name what had to be left out or set apart."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cvis.errors import UserError, did_you_mean_path
from cvis.runs.metrics_file import read_run
from cvis.runs.paths import STEP_NAME, RunFolder
from cvis.runs.protocol import describe, differences
from cvis.runs.result import RunResult
from cvis.runs.unbundle import SUFFIX, is_bundle, unpacked


@dataclass(frozen=True)
class LeftOut:
    """A folder or file that looks like a run but cannot be a row of a table."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Store:
    """Everything found below the given folders.

    Attributes:
        left_out: what is no row of any table.
        set_apart: runs that claim the cell of another one under another protocol. Tables keep the two apart.
        unrecorded: runs in the tables of which nobody knows how they were made.
    """

    runs: tuple[RunResult, ...]
    left_out: tuple[LeftOut, ...] = ()
    set_apart: tuple[LeftOut, ...] = ()
    unrecorded: tuple[LeftOut, ...] = ()


def load_runs(paths: Iterable[Path | str]) -> Store:
    """Every finished run below ``paths``, in the order of their folders.

    A path may also be a bundle, or a ``metrics.json`` itself. Unfinished, damaged and foreign files do not stop the
    others: they are returned in ``left_out``, each with its reason. Two runs of one cell (scenario, segmenter,
    learner, seed) under different protocols are both kept, and the later one is named in ``set_apart``.

    Raises:
        UserError: a path does not exist.
    """
    runs: dict[tuple[object, ...], RunResult] = {}
    cells: dict[tuple[object, ...], RunResult] = {}
    left_out, set_apart = [], []
    for path in candidates(paths):
        if isinstance(path, LeftOut):
            left_out.append(path)
            continue
        try:
            run = _unfinished(RunFolder(path)) if path.is_dir() else read_run(path)
        except UserError as error:
            reason = str(error).removeprefix(f"{path}: ")
            left_out.append(LeftOut(path, reason))
            continue
        twin = runs.setdefault(run.identity, run)
        if twin is not run:
            but = "" if twin.run_id == run.run_id else ", but not a copy of it"
            left_out.append(LeftOut(path, f"is the same run (learner, seed, protocol) as {twin.path}{but}"))
            continue
        first = cells.setdefault(run.cell, run)
        if differs := differences(run.conditions, first.conditions):
            claim = f"claims the same cell ({', '.join(map(str, run.cell[:3]))}, seed {run.seed}) as {first.path}"
            set_apart.append(LeftOut(path, f"{claim} under another protocol: {describe(differs)}"))
    return Store(tuple(runs.values()), tuple(left_out), tuple(set_apart), tuple(_unrecorded(runs.values())))


def _unrecorded(runs: Iterable[RunResult]) -> Iterator[LeftOut]:
    for run in runs:
        if not (record := RunFolder(run.path).record).is_file():
            what = f"has no {record.name}: its numbers count, but configuration, code and machine are unknown"
            yield LeftOut(run.path, f"{what}; copy it from where the run was made")


def candidates(paths: Iterable[Path | str]) -> Iterator[Path | LeftOut]:
    """``metrics.json`` of whole runs, the folders of runs that have none yet, and damaged bundles; each once."""
    seen = set()
    for given in map(Path, paths):
        if not given.exists():
            remedy = did_you_mean_path(given, "give the folder that `cvis run --runs` wrote to")
            raise UserError(f"{given}: does not exist; {remedy}")
        for path in [given] if given.is_file() else sorted(_below(given)):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield from _opened(path) if path.suffix == SUFFIX and path.is_file() else [path]


def _opened(bundle: Path) -> Iterator[Path | LeftOut]:
    try:
        yield from (RunFolder(folder).metrics for folder in unpacked(bundle))
    except UserError as error:
        yield LeftOut(bundle, str(error).removeprefix(f"{bundle}: "))


def _below(top: Path) -> Iterator[Path]:
    """Does not look into the folders of steps: they are many, and hold no runs."""
    for path, subfolders, files in os.walk(top):
        subfolders[:] = [name for name in subfolders if not STEP_NAME.fullmatch(name)]
        folder = RunFolder(Path(path))
        if STEP_NAME.fullmatch(folder.path.name):
            continue
        if folder.metrics.name in files:
            yield folder.metrics
        elif folder.record.name in files or any(step.is_trained for step in folder.steps()):
            yield folder.path
        yield from (bundle for name in files if is_bundle(bundle := folder.path / name))


def _unfinished(folder: RunFolder) -> NoReturn:
    done = sum(step.is_trained for step in folder.steps())
    if not folder.record.is_file():
        raise UserError(f"{folder.path}: {done} steps of a run without its {folder.record.name}; copy the whole folder")
    raise UserError(f"{folder.path}: is unfinished, {done} steps done; run the same `cvis run` again")
