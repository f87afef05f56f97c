"""The result tables of the page: the same rows, ranks and order as ``cvis compare`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from cvis.evaluation.measures import METRICS, STEP_METRICS
from cvis.report.page.values import Body, Cell, Column, Mark, Option, Order, Table
from cvis.report.page.wording import STEP_TITLES, meaning, title
from cvis.report.published import PublishedTable
from cvis.report.published_rows import with_published
from cvis.report.rows import Block, Group, Row
from cvis.report.table import per_step
from cvis.runs.find import RunResult
from cvis.runs.protocol import describe

FIRST: dict[str, Order] = {"higher": "descending", "lower": "ascending"}
MARKS: dict[int, Mark] = {0: "", 1: "best", 2: "second"}
RANDOM_NOTE = (
    "[random text encoder]: class names went through a text model with random weights, not through CLIP's; "
    "such a row shows that the method runs, not what language knowledge gives it."
)
NAME = Column("learner", numeric=False, first="ascending")
SEEDS = Column("seeds", "Number of runs with different seeds.")
ORIGIN = (
    Column("init", "The weights that step 0 starts from.", numeric=False, first="ascending"),
    Column("source", "ours: measured by cvis. paper: printed in one.", numeric=False, first="ascending"),
)


def result_tables(group: Group, prefix: str) -> tuple[Table, ...]:
    """One table per protocol, the most common one first, then those of papers."""
    return tuple(_result_table(group, block, f"{prefix}-results-{i}") for i, block in enumerate(group.blocks))


def step_options(runs: Sequence[RunResult], published: Sequence[PublishedTable], prefix: str) -> tuple[Option, ...]:
    """For every metric that any step has, its way along the stream; all of them of one panel's runs."""
    options = []
    for metric in STEP_METRICS:
        groups = per_step(runs, metric)
        if not any(cell.mean is not None for row in _rows(groups) for cell in row.cells.values()):
            continue
        if published:
            groups = with_published(groups, published, metric=metric)
            groups.sort(key=lambda group: group.segmenter != runs[0].segmenter)  # ours first
        name = f"{prefix}-step-{metric}"
        tables = tuple(table for i, group in enumerate(groups) for table in _step_tables(group, f"{name}-{i}"))
        options.append(Option(name, STEP_TITLES.get(metric, metric), tables))
    return tuple(options)


def _rows(groups: Sequence[Group]) -> list[Row]:
    return [row for group in groups for block in group.blocks for row in block.rows]


def row_name(row: Row) -> Cell:
    """The name as every table prints it, the note set smaller."""
    name = row.name
    note = f" [{row.note}]" if row.note else ""
    bound = " upper bound" if row.upper_bound else ""
    return Cell(name.removesuffix(note), name, aside=(note + bound).strip())


def apart(block: Block) -> str:
    """Why a block's rows are not ranked with those of the first one; empty for the first."""
    if not block.differs:
        return ""
    return f"Another protocol, not comparable with the first table: {describe(block.differs)}."


def _result_table(group: Group, block: Block, name: str) -> Table:
    metrics = [c for c in group.columns if any(row.cells[c].mean is not None for row in block.rows)]
    columns = tuple(Column(title(m), meaning(m), first=FIRST[METRICS[m][1]]) for m in metrics)
    rows = [
        (row, (row_name(row), _seeds(row), *(_number(row, m) for m in metrics), *_origin(row))) for row in block.rows
    ]
    columns = (NAME, SEEDS, *columns, *ORIGIN)
    return Table(
        name,
        _caption(group, block, "Results"),
        columns,
        _bodies(rows),
        _notes(block, group.notes if block is group.blocks[-1] else ()),
    )


def _step_tables(group: Group, name: str) -> list[Table]:
    label = STEP_TITLES.get(group.metric, group.metric)
    columns = (NAME, *(Column(c, f"{label}, after {c}") for c in group.columns))
    tables = []
    for i, block in enumerate(group.blocks):
        rows = [(row, (row_name(row), *(_number(row, c) for c in group.columns))) for row in block.rows]
        tables.append(Table(f"{name}-{i}", _caption(group, block, label), columns, _bodies(rows), _notes(block)))
    return tables


def _caption(group: Group, block: Block, what: str) -> str:
    kind = (
        f", published in {block.title}"
        if block.source == "paper"
        else f", other protocol {group.blocks.index(block)}"
        if block.differs
        else ""
    )
    return f"{what} on {group.scenario} with {group.segmenter}{kind}"


def _seeds(row: Row) -> Cell:
    seeds = ", ".join(map(str, row.seeds))
    return Cell(str(len(row.seeds)), float(row.n), hint=f"seeds {seeds}") if seeds else Cell("-", hint="none is named")


def _origin(row: Row) -> tuple[Cell, ...]:
    return Cell(row.init, row.init), Cell(row.source, row.source)


def _number(row: Row, column: str) -> Cell:
    cell = row.cells[column]
    if cell.mean is None:
        return Cell("-")
    spread = "" if cell.std is None else f"± {cell.std:.2f}"
    return Cell(f"{cell.mean:.2f}", cell.mean, aside=spread, mark=MARKS[cell.rank], hint=f"n = {cell.n}")


def _bodies(rows: Sequence[tuple[Row, tuple[Cell, ...]]]) -> tuple[Body, ...]:
    """Upper bounds are not ranked, and never sorted in between the others."""
    ranked = tuple(cells for row, cells in rows if not row.upper_bound)
    bounds = tuple(cells for row, cells in rows if row.upper_bound)
    return tuple(Body(own, name) for own, name in ((ranked, ""), (bounds, "upper bounds")) if own)


def _notes(block: Block, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    random = any(row.text_encoder and row.text_encoder.is_random for row in block.rows)
    return tuple(text for text in (apart(block), *block.notes, RANDOM_NOTE if random else "", *more) if text)
