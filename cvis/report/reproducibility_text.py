"""REPRODUCIBILITY's tables as Markdown; equal runs give equal text, so that a rerun shows no difference."""

from __future__ import annotations

import re

from cvis.evaluation.measures import heading
from cvis.report.formats.md import escape, table
from cvis.report.layout import name
from cvis.report.reproducibility import COLUMNS, SEEDS, VERIFIED, Entry, Reproducibility, rows_of
from cvis.report.rows import Block, Group, Row
from cvis.report.value import Cell, Column, Table, numbers, texts, words
from cvis.runs.protocol import describe

HEAD = "<!-- made by `cvis reproducibility`, not by hand: change the runs, and run it again -->"
RULE = f"""\
A cell is a stream and a learner. It is **verified** when at least {SEEDS} finished runs with different seeds, under one
protocol and with one configuration of the learner, are behind its numbers; *partly* when fewer are. Numbers are in per
cent, after the last step: mean ± sample standard deviation over seeds. A run's id is the first 12 hex digits of the
sha256 of its `metrics.json`."""


def markdown(report: Reproducibility) -> str:
    """An overview of all cells, a section per stream that has numbers, and the environments."""
    streams = dict.fromkeys(group.scenario for group in report.groups)
    sections = [_section(report, stream) for stream in streams]
    return "\n\n".join([HEAD, RULE, _overview(report), *sections, *_environments(report)]) + "\n"


def _overview(report: Reproducibility) -> str:
    """A new stream is a new line."""
    streams = dict.fromkeys(stream for stream, _ in report.cells)
    total, done = len(report.cells), report.count(VERIFIED)
    said = f"{done} of {total} cells are verified, {report.count('partly')} partly."
    rows = [
        (Cell(stream), *(_status(report.cells[stream, learner]) for learner in report.learners)) for stream in streams
    ]
    labels = {row.learner: row.label for _, _, row in rows_of(report.groups)}
    titles = (labels.get(learner) or learner for learner in report.learners)
    return f"{said}\n\n{table(Table((*words('stream'), *numbers(*titles)), tuple(rows)))}"


def _section(report: Reproducibility, stream: str) -> str:
    groups = [group for group in report.groups if group.scenario == stream]
    blocks = [(group, block) for group in groups for block in group.blocks]
    parts = [f"### {escape(stream)}"]
    parts += [_ours(report, group, block) for group, block in blocks if block.source == "ours"]
    parts += [_paper(block) for _, block in blocks if block.source == "paper"]
    finished = {row.learner for _, _, row in rows_of(groups)}
    if missing := [name for name in report.learners if (stream, name) in report.cells and name not in finished]:
        parts.append(f"Not verified, no finished run: {', '.join(map(escape, missing))}.")
    return "\n\n".join(parts)


def _ours(report: Reproducibility, group: Group, block: Block) -> str:
    title = f"{group.segmenter}, initial weights: {block.rows[0].init}"
    if block.differs:
        title += f"; another protocol, not comparable with the table above: {describe(block.differs)}"
    entries = [(row, report.entries[row.run_ids]) for row in block.rows]
    rows = [
        (Cell(name(row)), _status(entry.status), Cell(str(len(row.seeds))), *_numbers(row)) for row, entry in entries
    ]
    shown = table(Table(_columns("status"), tuple(rows)))
    return "\n\n".join([f"_{escape(title)}_", shown, "\n".join(_made(row, entry) for row, entry in entries)])


def _made(row: Row, entry: Entry) -> str:
    """How a row came about, as an item of a list."""
    commands = ", ".join(map(_code, entry.commands)) or "command not recorded, see config.py of the runs"
    runs = ", ".join(f"{_code(run)} (seed {seed})" for seed, run in zip(row.seeds, row.run_ids, strict=True))
    places = ", ".join(map(str, entry.environments))
    codes = ", ".join(map(escape, entry.codes))
    return f"- **{escape(name(row))}**: {commands}; runs {runs}; code {codes}; environment {places}"


def _paper(block: Block) -> str:
    rows = [(*texts(row.name, "paper", "-"), *_numbers(row)) for row in block.rows]
    shown = table(Table(_columns("source"), tuple(rows)))
    return "\n\n".join([f"_{escape(block.title)}_", shown, f"As printed: {escape('; '.join(block.notes))}."])


def _environments(report: Reproducibility) -> list[str]:
    if not report.environments:
        return []
    return ["### Environments", "\n".join(f"{n}. {escape(place)}" for n, place in enumerate(report.environments, 1))]


def _columns(second: str) -> tuple[Column, ...]:
    return (*words("learner", second), *numbers("seeds", *map(heading, COLUMNS)))


def _status(status: str) -> Cell:
    """A verified one stands out."""
    return Cell(status, rank=1 if status == VERIFIED else 0)


def _numbers(row: Row) -> tuple[Cell, ...]:
    """To an upper bound, which learns all classes at once, all are new: its mAP need not be said twice."""
    return texts(
        *(
            row.cells[column].text() if column in row.cells and not (row.upper_bound and column == "mAP_new") else "-"
            for column in COLUMNS
        )
    )


def _code(text: str) -> str:
    """As code: no character is markup, and none is taken for the end of the region.

    >>> _code("a `b`")
    '`` a `b` ``'
    """
    text = " ".join(text.split()).replace("<!--", "<! --")
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks} {text} {ticks}" if "`" in text else f"{ticks}{text}{ticks}"
