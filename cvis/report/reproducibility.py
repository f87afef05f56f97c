"""Which cells of the benchmark have been verified, with which numbers, by which commands and runs.

A cell is a stream and a learner. All pairs of those that ship are expected; other runs are listed beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cvis.report.published import load_published
from cvis.report.published_rows import with_published
from cvis.report.rows import Block, Row
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

    row: Row
    status: str
    commands: tuple[str, ...]
    codes: tuple[str, ...]
    environments: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """Rows of one stream, segmenter and protocol."""

    segmenter: str
    init: str
    differs: str  # from the first part of this stream and segmenter; empty there
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Section:
    """One stream."""

    scenario: str
    parts: tuple[Part, ...]
    published: tuple[Block, ...]
    missing: tuple[str, ...]  # expected learners without a run


@dataclass(frozen=True)
class Reproducibility:
    """Everything that the document says.

    Attributes:
        cells: (stream, learner) -> status, of every expected cell.
    """

    learners: tuple[str, ...]
    cells: dict[tuple[str, str], str]
    sections: tuple[Section, ...]
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
    sections = []
    for scenario in dict.fromkeys([*streams, *(group.scenario for group in groups)]):
        blocks = [(group.segmenter, block) for group in groups if group.scenario == scenario for block in group.blocks]
        parts = [_part(name, block, known, places, rebuild) for name, block in blocks if block.source == "ours"]
        finished = {entry.row.learner for part in parts for entry in part.entries}
        missing = tuple(name for name in learners if name not in finished) if scenario in streams else ()
        published = tuple(block for _, block in blocks if block.source == "paper")
        sections.append(Section(scenario, tuple(parts), published, missing))
    cells = {(s.scenario, name): _cell(s, name) for s in sections if s.scenario in streams for name in learners}
    return Reproducibility(tuple(learners), cells, tuple(sections), tuple(places))


def as_json(report: Reproducibility) -> dict[str, Any]:
    """The same content as plain values, unrounded."""
    return {
        "cells": [{"scenario": s, "learner": name, "status": status} for (s, name), status in report.cells.items()],
        "rows": [
            {
                "scenario": section.scenario,
                "segmenter": part.segmenter,
                "init": part.init,
                "protocol_differs": part.differs,
                "learner": entry.row.learner,
                "name": entry.row.name,
                "status": entry.status,
                "runs": dict(zip(map(str, entry.row.seeds), entry.row.run_ids, strict=True)),
                "metrics": entry.row.metrics(),
                "text_encoder": entry.row.text_encoder and asdict(entry.row.text_encoder),
                "commands": list(entry.commands),
                "codes": list(entry.codes),
                "environments": list(entry.environments),
            }
            for section in report.sections
            for part in section.parts
            for entry in part.entries
        ],
        "environments": list(report.environments),
    }


def _part(
    segmenter: str, block: Block, known: Mapping[str, Provenance], places: Sequence[str], rebuild: Rebuild
) -> Part:
    entries = tuple(_entry(row, [known[name] for name in row.run_ids], places, rebuild) for row in block.rows)
    return Part(segmenter, str(block.protocol.get("init", "-")), describe(block.differs), entries)


def _entry(row: Row, made: Sequence[Provenance], places: Sequence[str], rebuild: Rebuild) -> Entry:
    commands = [run.command for run in made if run.command is not None]
    silent = [(seed, run) for seed, run in zip(row.seeds, made, strict=True) if run.command is None]
    if silent:
        rebuilt = rebuild(silent[0][1].record, [seed for seed, _ in silent])
        commands += [rebuilt] if rebuilt is not None else []
    return Entry(
        row=row,
        status=_status(row, made),
        commands=joined(commands),
        codes=tuple(dict.fromkeys(run.code for run in made)),
        environments=tuple(sorted({places.index(run.environment) + 1 for run in made})),
    )


def _status(row: Row, made: Sequence[Provenance]) -> str:
    """The protocol is one by construction of the row; the settings of the learner stand in run.json alone."""
    if len({run.settings for run in made}) > 1:
        return f"{NOT_VERIFIED}: the learner's settings differ between seeds"
    n = len(set(row.seeds))
    return VERIFIED if n >= SEEDS else f"partly ({n} seed{'s' if n > 1 else ''})"


def _cell(section: Section, learner: str) -> str:
    """The best of the rows that bear the learner's own name: a variant under another name is another method."""
    statuses = [entry.status for part in section.parts for entry in part.entries if entry.row.learner == learner]
    return max(statuses, key=_rank, default=NOT_VERIFIED)


def _rank(status: str) -> tuple[bool, bool, str]:
    return status == VERIFIED, not status.startswith(NOT_VERIFIED), status
