"""Which cells of the benchmark have been verified, with which numbers, by which commands and runs.

A cell is a stream and a learner. All pairs of those that ship are expected; other runs are listed beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cvis.report.published import load_published, with_published
from cvis.report.rows import Block, Group, Row
from cvis.report.table import comparison
from cvis.runs.protocol import describe
from cvis.runs.provenance import Provenance, joined, read_provenance
from cvis.runs.result import RunResult
from cvis.scenario.spec import list_scenarios

COLUMNS = ("mAP", "mAP_base", "mAP_new", "AR10", "FR", "forgetting")
SEEDS = 3
"""Finished runs with different seeds, under one protocol, that verify a cell."""
VERIFIED, NOT_VERIFIED = "verified", "not verified"

Rebuild = Callable[[Mapping[str, Any], Sequence[int]], str | None]
"""(content of run.json, seeds) -> the command that makes the runs, or None."""


@dataclass(frozen=True)
class Entry:
    """The runs of one row.

    Attributes:
        status: ``verified``, ``partly (n seeds)`` or ``not verified: why``.
        commands: that made them, in the order of the seeds.
        codes: commits of our code.
        environments: numbers of :attr:`Reproducibility.environments`, from 1.
    """

    status: str
    commands: tuple[str, ...]
    codes: tuple[str, ...]
    environments: tuple[int, ...]


@dataclass(frozen=True)
class Reproducibility:
    """Everything that the document says.

    Attributes:
        groups: by stream, published rows beside ours.
        entries: of the rows of ours, by their run ids.
        cells: (stream, learner) -> status, of every expected cell.
    """

    learners: tuple[str, ...]
    groups: tuple[Group, ...]
    entries: dict[tuple[str, ...], Entry]
    cells: dict[tuple[str, str], str]
    environments: tuple[str, ...]

    def count(self, status: str) -> int:
        """How many expected cells have a status that begins so."""
        return sum(cell.startswith(status) for cell in self.cells.values())


def reproducibility(
    runs: Sequence[RunResult], learners: Sequence[str], rebuild: Rebuild = lambda record, seeds: None
) -> Reproducibility:
    """Put finished runs into the cells that are expected of them.

    Args:
        learners: of which every stream expects a cell.
        rebuild: finds the command of runs that do not say how they were started.

    Raises:
        UserError: a run.json or the published numbers cannot be read.
    """
    streams, tables = list_scenarios(), load_published()
    known = {run.run_id: read_provenance(run.path) for run in runs}
    places = sorted({provenance.environment for provenance in known.values()})
    printed = [table.scenario for table in tables if table.scenario in streams]
    groups = with_published(comparison(runs, COLUMNS), tables, printed, COLUMNS)
    groups.sort(key=lambda group: streams.index(group.scenario) if group.scenario in streams else len(streams))
    entries = {}
    statuses: dict[tuple[str, str], list[str]] = {(stream, name): [] for stream in streams for name in learners}
    for group, _, row in rows_of(groups):
        entry = _entry(row, [known[name] for name in row.run_ids], places, rebuild)
        entries[row.run_ids] = entry
        statuses.get((group.scenario, row.learner), []).append(entry.status)  # a variant is another method
    cells = {cell: max(reached, key=_rank, default=NOT_VERIFIED) for cell, reached in statuses.items()}
    return Reproducibility(tuple(learners), tuple(groups), entries, cells, tuple(places))


def rows_of(groups: Iterable[Group]) -> Iterator[tuple[Group, Block, Row]]:
    """Our own rows, each with where it stands."""
    for group in groups:
        for block in group.blocks:
            if block.source == "ours":
                yield from ((group, block, row) for row in block.rows)


def as_json(report: Reproducibility) -> dict[str, Any]:
    """The same content as plain values, unrounded."""
    rows = []
    for group, block, row in rows_of(report.groups):
        entry = asdict(report.entries[row.run_ids])
        about = {
            "scenario": group.scenario,
            "segmenter": group.segmenter,
            "init": row.init,
            "protocol_differs": describe(block.differs),
            "learner": row.learner,
            "name": row.name,
            "status": entry.pop("status"),
            "runs": dict(zip(map(str, row.seeds), row.run_ids, strict=True)),
            "metrics": row.metrics(),
            "text_encoder": row.text_encoder and asdict(row.text_encoder),
        }
        rows.append({**about, **entry})
    cells = [{"scenario": s, "learner": name, "status": status} for (s, name), status in report.cells.items()]
    return {"cells": cells, "rows": rows, "environments": report.environments}


def _entry(row: Row, made: Sequence[Provenance], places: Sequence[str], rebuild: Rebuild) -> Entry:
    commands = [run.command for run in made]
    silent = [(seed, run) for seed, run in zip(row.seeds, made, strict=True) if run.command is None]
    if silent:
        commands.append(rebuild(silent[0][1].record, [seed for seed, _ in silent]))
    return Entry(
        status=_status(row, made),
        commands=joined(command for command in commands if command is not None),
        codes=tuple(dict.fromkeys(run.code for run in made)),
        environments=tuple(sorted({places.index(run.environment) + 1 for run in made})),
    )


def _status(row: Row, made: Sequence[Provenance]) -> str:
    """The protocol is one by construction of the row; the settings of the learner stand in run.json alone."""
    if not _agree([run.settings for run in made]):
        return f"{NOT_VERIFIED}: the learner's settings differ between seeds"
    n = len(set(row.seeds))
    return VERIFIED if n >= SEEDS else f"partly ({n} seed{'s' if n > 1 else ''})"


def _agree(settings: Sequence[str]) -> bool:
    """Whether runs have equal settings; one that only younger runs know is no difference."""
    if len(set(settings)) == 1 or "" in settings:
        return len(set(settings)) == 1
    known = [json.loads(text) for text in settings]
    common = set.intersection(*(set(values) for values in known))
    return all(values[key] == known[0][key] for values in known for key in common)


def _rank(status: str) -> tuple[bool, bool, str]:
    return status == VERIFIED, not status.startswith(NOT_VERIFIED), status
