"""How a result table is printed: which words and numbers stand where, before any markup."""

from __future__ import annotations

from collections.abc import Sequence

from cvis.evaluation.measures import heading
from cvis.report.baseline import LEVEL, compared, unpaired
from cvis.report.rows import Block, Group, PairedDifference, Row, Statistic, printed
from cvis.report.value import Cell, Section, Table, numbers, texts, words
from cvis.runs.protocol import describe

LEGEND = (
    "Mean ± sample standard deviation over seeds, x100. Best in bold, second underlined, by the means as printed: "
    "equal ones share a rank. Not ranked: rows of one seed, and zeros that several rows share."
)
RANDOM_NOTE = (
    "[random text encoder]: class names went through a text model with random weights, not through CLIP's; "
    "of them such a row knows which words they share, and nothing of what the words mean."
)


def section(group: Group) -> Section:
    """A table per block, then the differences to a baseline."""
    title = "  ".join(part for part in (group.scenario, group.segmenter, group.metric) if part)
    tables = [_results(block, group.columns) for block in group.blocks]
    tables += [_differences(block, block.baseline, group.columns) for block in group.blocks if block.baseline]
    notes = list(group.notes)
    for block in group.blocks:
        notes += [f"{block.title}: {'; '.join(block.notes)}."] if block.notes else []
        notes += _baseline_notes(block, block.baseline) if block.baseline else []
    notes += random_note([row for block in group.blocks for row in block.rows])
    return Section(title, tuple(tables), tuple(notes))


def random_note(rows: Sequence[Row]) -> list[str]:
    """What must be said of rows that rest on random text features, if any does."""
    return [RANDOM_NOTE] if any(row.text_encoder and row.text_encoder.is_random for row in rows) else []


def number(statistic: Statistic, n: int = 0) -> Cell:
    """Of a row of ``n`` seeds: a number that not all of them have says how many do."""
    text = statistic.text()
    if n and statistic.n not in (0, n):
        text += f" (n={statistic.n})"
    return Cell(text, rank=statistic.rank)


def name(row: Row) -> str:
    return f"{row.name} (upper bound)" if row.upper_bound else row.name


def _results(block: Block, columns: Sequence[str]) -> Table:
    title, short = _titles(block)
    return Table(
        columns=(*words("learner", "source", "init"), *numbers("seeds", *map(heading, columns))),
        rows=tuple(
            (*texts(name(row), row.source, row.init, str(row.n)), *(number(row.cells[c], row.n) for c in columns))
            for row in block.rows
        ),
        title=title,
        short=short,
        kind="ours" if block.source == "ours" else "published",
    )


def _titles(block: Block) -> tuple[str, str]:
    if block.source == "paper":
        said = f"published: {block.title}; not comparable with our rows"
        return said, said
    if not block.differs:
        return "", ""
    what = "another protocol, not comparable with the table above: "
    return what + describe(block.differs), what + ", ".join(block.differs)


def _differences(block: Block, baseline: Row, columns: Sequence[str]) -> Table:
    said = f"differences to {baseline.name}, {LEVEL:.0%} interval"
    under = f"{said}, under {', '.join(block.differs)}" if block.differs else said
    rows = []
    for row in compared(block):
        pairs = max(gain.n for gain in row.gains.values())
        rows.append(texts(name(row), str(pairs), *(_gain(row.gains[column], pairs) for column in columns)))
    heads = (*words("learner"), *numbers("pairs", *map(heading, columns)))
    return Table(heads, tuple(rows), title=under, short=under, kind="difference")


def _gain(gain: PairedDifference, n: int) -> str:
    """``+1.50 [0.23, 2.77]``; without an interval for one pair."""
    if gain.mean is None:
        return "-"
    mean = printed(gain.mean)
    text = mean if mean.startswith("-") else f"+{mean}"
    if gain.low is not None and gain.high is not None:
        text += f" [{printed(gain.low)}, {printed(gain.high)}]"
    return text if gain.n == n else f"{text} (n={gain.n})"


def _baseline_notes(block: Block, baseline: Row) -> list[str]:
    against = baseline.name
    notes = [
        f"Differences: row minus {against}, mean over the seeds that both have, with the {LEVEL:.0%} interval of a "
        "paired Student t-test; one pair has none."
    ]
    for row in compared(block):
        if alone := unpaired(row, baseline):
            seeds = ", ".join(map(str, alone))
            notes.append(f"{row.name}: only one of the two has seed {seeds}, which is in no difference to {against}.")
    return notes
