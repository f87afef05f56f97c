"""How a result table is printed: which words and numbers stand where, before any markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cvis.evaluation.measures import heading
from cvis.report.baseline import LEVEL, compared, unpaired
from cvis.report.rows import Block, Group, PairedDifference, Row, Statistic, printed
from cvis.report.value import Cell, Section, Table, numbers, texts, words
from cvis.runs.protocol import describe

if TYPE_CHECKING:
    from cvis.evaluation.bootstrap import Interval
    from cvis.report.matrix import MatrixRow

LEGEND = (
    "Mean ± sample standard deviation over seeds, x100. Best in bold, second underlined, by the means as printed: "
    "equal ones share a rank. Not ranked: rows of one seed, and zeros that several rows share."
)
RANDOM_NOTE = (
    "[random text encoder]: class names went through a text model with random weights, not through CLIP's; "
    "of them such a row knows which words they share, and nothing of what the words mean."
)
VIDEOS_NOTE = (
    f"Over test videos: {LEVEL:.0%} intervals of the Bayesian bootstrap, the same draws of videos for all rows. They "
    "say what would hold of these models on other videos of this kind; the deviations say what other seeds do."
)


def section(group: Group) -> Section:
    """A table per block, then the differences to a baseline."""
    title = "  ".join(part for part in (group.scenario, group.segmenter, group.metric) if part)
    tables = [_results(block, group.columns) for block in group.blocks]
    tables += [_differences(block, block.baseline, group.columns) for block in group.blocks if block.baseline]
    tables += [table for block in group.blocks for table in _over_videos(block, group.columns)]
    notes = list(group.notes)
    for block in group.blocks:
        notes += [f"{block.title}: {'; '.join(block.notes)}."] if block.notes else []
        notes += _baseline_notes(block, block.baseline) if block.baseline else []
    if any(row.over_videos for block in group.blocks for row in block.rows):
        notes.append(VIDEOS_NOTE)
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


def name(row: Row | MatrixRow) -> str:
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


def _over_videos(block: Block, columns: Sequence[str]) -> list[Table]:
    """Intervals over test videos of the rows' numbers, and of their differences to the baseline, if there is one."""
    rows = [(row, row.over_videos) for row in block.rows if row.over_videos]
    if not rows:
        return []
    under = f", under {', '.join(block.differs)}" if block.differs else ""
    heads = (*words("learner"), *numbers(f"place by {heading(columns[0])}", *map(heading, columns)))
    lines = [
        texts(name(row), _place(over.place), *(_interval(over.intervals.get(c)) for c in columns)) for row, over in rows
    ]
    said = f"over test videos, {LEVEL:.0%} interval{under}"
    tables = [Table(heads, tuple(lines), title=said, short=said, kind="difference")]
    if block.baseline:
        said = f"differences to {block.baseline.name} over test videos, {LEVEL:.0%} interval{under}"
        lines = [
            texts(name(row), *(_interval(over.gains.get(c), sign=True) for c in columns))
            for row, over in rows
            if over.gains
        ]
        heads = (*words("learner"), *numbers(*map(heading, columns)))
        tables.append(Table(heads, tuple(lines), title=said, short=said, kind="difference"))
    return tables


def _place(place: tuple[int, int] | None) -> str:
    """``2-4``: from the second to the fourth."""
    return "-" if place is None else "-".join(dict.fromkeys(map(str, place)))


def _interval(found: Interval | None, sign: bool = False) -> str:
    """``+1.50 [0.23, 2.77]``; what is undefined in some draw has no interval."""
    return _bounded(found.estimate, found.low, found.high, sign) if found else "-"


def _gain(gain: PairedDifference, n: int) -> str:
    """``+1.50 [0.23, 2.77]``; without an interval for one pair."""
    text = _bounded(gain.mean, gain.low, gain.high, sign=True)
    return text if gain.n == n or gain.mean is None else f"{text} (n={gain.n})"


def _bounded(value: float | None, low: float | None, high: float | None, sign: bool) -> str:
    if value is None:
        return "-"
    text = printed(value)
    text = f"+{text}" if sign and not text.startswith("-") else text
    return text if low is None or high is None else f"{text} [{printed(low)}, {printed(high)}]"


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
