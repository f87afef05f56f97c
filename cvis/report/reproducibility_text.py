"""REPRODUCIBILITY's tables as Markdown; equal runs give equal text, so that a rerun shows no difference."""

from __future__ import annotations

import re

from cvis.evaluation.measures import METRICS
from cvis.report.formats.markdown import escape
from cvis.report.reproducibility import COLUMNS, SEEDS, VERIFIED, Entry, Part, Reproducibility, Section
from cvis.report.rows import Block, Row

HEAD = "<!-- made by `cvis reproducibility`, not by hand: change the runs, and run it again -->"
RULE = f"""\
A cell is a stream and a learner. It is **verified** when at least {SEEDS} finished runs with different seeds, under one
protocol and with one configuration of the learner, are behind its numbers; *partly* when fewer are. Numbers are in per
cent, after the last step: mean ± sample standard deviation over seeds. A run's id is the first 12 hex digits of the
sha256 of its `metrics.json`."""


def markdown(report: Reproducibility) -> str:
    """An overview of all cells, a section per stream that has numbers, and the environments."""
    sections = [_section(own) for own in report.sections if own.parts or own.published]
    return "\n\n".join([HEAD, RULE, _overview(report), *sections, *_environments(report)]) + "\n"


def _overview(report: Reproducibility) -> str:
    """A new stream is a new line."""
    streams = list(dict.fromkeys(scenario for scenario, _ in report.cells))
    total, done = len(report.cells), report.count(VERIFIED)
    words = f"{done} of {total} cells are verified, {report.count('partly')} partly."
    rows = [[scenario, *(report.cells[scenario, name] for name in report.learners)] for scenario in streams]
    labels = {own.row.learner: own.row.label for section in report.sections for p in section.parts for own in p.entries}
    titles = [labels.get(name) or name for name in report.learners]
    return f"{words}\n\n{_table(['stream', *titles], rows)}"


def _section(section: Section) -> str:
    parts = [f"### {escape(section.scenario)}", *map(_part, section.parts), *map(_paper, section.published)]
    if section.missing:
        parts.append(f"Not verified, no finished run: {', '.join(map(escape, section.missing))}.")
    return "\n\n".join(parts)


def _part(part: Part) -> str:
    heading = f"{part.segmenter}, initial weights: {part.init}"
    if part.differs:
        heading += f"; another protocol, not comparable with the table above: {part.differs}"
    rows = [[_name(own.row), own.status, str(len(own.row.seeds)), *_numbers(own.row)] for own in part.entries]
    table = _table(["learner", "status", "seeds", *_titles()], rows, text=2)
    return "\n\n".join([f"_{escape(heading)}_", table, "\n".join(map(_made, part.entries))])


def _made(entry: Entry) -> str:
    """How a row came about, as an item of a list."""
    row = entry.row
    commands = ", ".join(map(_code, entry.commands)) or "command not recorded, see config.py of the runs"
    runs = ", ".join(f"{_code(name)} (seed {seed})" for seed, name in zip(row.seeds, row.run_ids, strict=True))
    places = ", ".join(map(str, entry.environments))
    return (
        f"- {_name_of(row)}: {commands}; runs {runs}; code {', '.join(map(escape, entry.codes))}; environment {places}"
    )


def _paper(block: Block) -> str:
    rows = [[row.name, "paper", "-", *_numbers(row)] for row in block.rows]
    table = _table(["learner", "source", "seeds", *_titles()], rows, text=2)
    return "\n\n".join([f"_{escape(block.title)}_", table, f"As printed: {escape('; '.join(block.notes))}."])


def _environments(report: Reproducibility) -> list[str]:
    if not report.environments:
        return []
    return ["### Environments", "\n".join(f"{n}. {escape(own)}" for n, own in enumerate(report.environments, 1))]


def _name(row: Row) -> str:
    return f"{row.name} (upper bound)" if row.upper_bound else row.name


def _name_of(row: Row) -> str:
    return f"**{escape(_name(row))}**"


def _titles() -> list[str]:
    return [METRICS[name][0] for name in COLUMNS]


def _numbers(row: Row) -> list[str]:
    """To an upper bound, which learns all classes at once, all are new: its mAP need not be said twice."""
    return [
        row.cells[name].text() if name in row.cells and not (row.upper_bound and name == "mAP_new") else "-"
        for name in COLUMNS
    ]


def _table(titles: list[str], rows: list[list[str]], text: int = 1) -> str:
    """The first ``text`` columns are flush left; a verified cell is bold."""
    rule = [":---" if i < text else "---:" for i in range(len(titles))]
    lines = [[escape(title) for title in titles], rule, *([_cell(own) for own in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return f"**{text}**" if text == VERIFIED else escape(text)


def _code(text: str) -> str:
    """As code: no character is markup, and none is taken for the end of the region.

    >>> _code("a `b`")
    '`` a `b` ``'
    """
    text = " ".join(text.split()).replace("<!--", "<! --")
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks} {text} {ticks}" if "`" in text else f"{ticks}{text}{ticks}"
