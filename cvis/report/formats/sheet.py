"""What all printed formats share: which words and numbers stand where, before any markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cvis.evaluation.measures import METRICS
from cvis.report.paired import LEVEL, PairedDifference
from cvis.report.rows import Baseline, Block, Cell, Group, Row, printed
from cvis.runs.protocol import describe

Kind = Literal["ours", "published", "difference"]

LEGEND = (
    "Mean ± sample standard deviation over seeds, x100. Best in bold, second underlined, by the means as printed: "
    "equal ones share a rank."
)
RANDOM_NOTE = (
    "[random text encoder]: class names went through a text model with random weights, not through CLIP's; "
    "such a row shows that the method runs, not what language knowledge gives it."
)


class Text(NamedTuple):
    """A cell: what is printed, and its rank (1 best, 2 second, 0 neither)."""

    text: str
    rank: int = 0


@dataclass(frozen=True)
class Sheet:
    """One table: the first ``left`` columns are words, the others numbers."""

    kind: Kind
    heading: str  # empty for the first block of a group
    short: str  # the same without values, for narrow places
    columns: tuple[str, ...]
    left: int
    rows: tuple[tuple[Text, ...], ...]


@dataclass(frozen=True)
class Page:
    """One group: its tables, and what must be said below them."""

    title: str
    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...]


def pages(groups: Iterable[Group]) -> list[Page]:
    return [_page(group) for group in groups]


def all_notes(found: Iterable[Page]) -> list[str]:
    """The notes of several pages, each once."""
    return list(dict.fromkeys(note for page in found for note in page.notes))


def _page(group: Group) -> Page:
    title = "  ".join(part for part in (group.scenario, group.segmenter, group.metric) if part)
    sheets = [_sheet(block, group.columns) for block in group.blocks]
    sheets += [_differences(block.baseline, block, group.columns) for block in group.blocks if block.baseline]
    notes = list(group.notes)
    for block in group.blocks:
        notes += [f"{block.title}: {'; '.join(block.notes)}."] if block.notes else []
        notes += _baseline_notes(block.baseline) if block.baseline else []
    rows = [row for block in group.blocks for row in block.rows]
    if any(row.text_encoder and row.text_encoder.is_random for row in rows):
        notes.append(RANDOM_NOTE)
    return Page(title, tuple(sheets), tuple(notes))


def _sheet(block: Block, columns: Sequence[str]) -> Sheet:
    heading, short = _heading(block)
    return Sheet(
        kind="ours" if block.source == "ours" else "published",
        heading=heading,
        short=short,
        columns=("learner", "source", "init", "seeds", *map(_column, columns)),
        left=3,
        rows=tuple(_row(row, columns) for row in block.rows),
    )


def _heading(block: Block) -> tuple[str, str]:
    if block.source == "paper":
        said = f"published: {block.title}; not comparable with our rows"
        return said, said
    if not block.differs:
        return "", ""
    what = "another protocol, not comparable with the table above: "
    return what + describe(block.differs), what + ", ".join(block.differs)


def _row(row: Row, columns: Sequence[str]) -> tuple[Text, ...]:
    numbers = [Text(_number(row.cells[name], row.n), row.cells[name].rank) for name in columns]
    return (Text(_name(row)), Text(row.source), Text(row.init), Text(str(row.n)), *numbers)


def _name(row: Row) -> str:
    return f"{row.name} (upper bound)" if row.upper_bound else row.name


def _number(cell: Cell, n: int) -> str:
    """A number that not all seeds have says how many do."""
    return cell.text() if cell.n in (0, n) else f"{cell.text()} (n={cell.n})"


def _differences(baseline: Baseline, block: Block, columns: Sequence[str]) -> Sheet:
    said = f"differences to {baseline.row.name}, {LEVEL:.0%} interval"
    under = f"{said}, under {', '.join(block.differs)}" if block.differs else said
    return Sheet(
        kind="difference",
        heading=under,
        short=under,
        columns=("learner", "pairs", *map(_column, columns)),
        left=1,
        rows=tuple(
            (Text(_name(own.row)), Text(str(own.n)), *(Text(_gain(own.cells[name], own.n)) for name in columns))
            for own in baseline.rows
        ),
    )


def _gain(gain: PairedDifference, n: int) -> str:
    """``+1.50 [0.23, 2.77]``; without an interval for one pair."""
    if gain.mean is None:
        return "-"
    mean = printed(gain.mean)
    text = mean if mean.startswith("-") else f"+{mean}"
    if gain.low is not None and gain.high is not None:
        text += f" [{printed(gain.low)}, {printed(gain.high)}]"
    return text if gain.n == n else f"{text} (n={gain.n})"


def _baseline_notes(baseline: Baseline) -> list[str]:
    name = baseline.row.name
    notes = [
        f"Differences: row minus {name}, mean over the seeds that both have, with the {LEVEL:.0%} interval of a paired "
        "Student t-test; one pair has none."
    ]
    for own in baseline.rows:
        if own.unpaired:
            seeds = ", ".join(map(str, own.unpaired))
            notes.append(f"{own.row.name}: only one of the two has seed {seeds}, which is in no difference to {name}.")
    return notes


def _column(name: str) -> str:
    return METRICS[name][0] if name in METRICS else name
