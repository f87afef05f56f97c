"""The tables of the page: results in the rows, ranks and order that ``cvis compare`` prints, and the AP of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isnan

from cvis.evaluation.measures import COLUMNS, MEASURES, STEP_METRICS
from cvis.report.class_views import class_by_step, class_forgetting
from cvis.report.layout import random_note
from cvis.report.matrix import Pair, matrices
from cvis.report.matrix_tables import MatrixTables
from cvis.report.page.values import Option
from cvis.report.published import PublishedTable, with_published
from cvis.report.rows import Block, Group, Row
from cvis.report.table import per_step
from cvis.report.value import Cell, Cells, Column, Order, Table, words
from cvis.runs.protocol import describe
from cvis.runs.result import RunResult

FIRST: dict[str, Order] = {"higher": "descending", "lower": "ascending"}
NAME = words("learner")[0]
FORGOTTEN = "The best AP after any earlier step - AP after the last one, in points; negative where later steps helped."
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
        rows = [row for group in groups for block in group.blocks for row in block.rows]
        if all(cell.mean is None for row in rows for cell in row.cells.values()):
            continue
        if published:
            groups = with_published(groups, published, metric=metric)
            groups.sort(key=lambda group: group.segmenter != runs[0].segmenter)  # ours first
        name = f"{prefix}-step-{metric}"
        tables = tuple(
            _step_table(group, block, f"{name}-{i}-{j}")
            for i, group in enumerate(groups)
            for j, block in enumerate(group.blocks)
        )
        options.append(Option(name, MEASURES[metric].title or metric, tables))
    return tuple(options)


def matrix_options(runs: Sequence[RunResult], undefined: Mapping[Pair, str], prefix: str) -> tuple[Option, ...]:
    """For every metric of the result table that any run has, learners x segmenters; all runs of one stream."""
    options = []
    for metric in COLUMNS:
        found = MatrixTables(matrices(runs, metric), undefined)
        values = (matrix.value(row, name) for matrix in found.matrices for row in matrix.rows for name in row.cells)
        if any(value is not None and value.mean is not None for value in values):
            id = f"{prefix}-{metric}"
            title = MEASURES[metric].title or metric
            tables = (table for i, matrix in enumerate(found.matrices) for table in found.tables(matrix, f"{id}-{i}"))
            titled = (replace(table, title=table.title or f"{title} on {runs[0].scenario}") for table in tables)
            options.append(Option(id, title, tuple(titled)))
    return tuple(options)


def class_option(name: str, runs: Sequence[RunResult], id: str) -> Option:
    """The AP of every class after every step, mean over the seeds of one learner."""
    matrix, lost = class_by_step(runs), class_forgetting(runs)
    columns = (
        *words("class"),
        Column("since", "The step that brings the class.", first="ascending"),
        *(Column(f"step {t}", f"AP after step {t}") for t in matrix.steps),
        Column("forgotten", FORGOTTEN),
    )
    rows = tuple(
        (
            Cell(one.name, one.name),
            Cell(str(one.learned_at), float(one.learned_at)),
            *(_ap(float(value), t >= one.learned_at) for t, value in zip(matrix.steps, values, strict=True)),
            _points(one.forgetting),
        )
        for one, values in zip(lost, matrix.values, strict=True)
    )
    over = f"mean over {len(runs)} seeds" if len(runs) > 1 else f"seed {runs[0].seed}"
    caption = f"AP of every class after every step of {runs[0].scenario}: {name}, {over}"
    table = Table(columns, rows, caption, kind="matrix", id=f"{id}-table")
    return Option(id, name, (table,))


def _result_table(group: Group, block: Block, id: str) -> Table:
    metrics = [name for name in group.columns if any(row.cells[name].mean is not None for row in block.rows)]
    heads = (Column(m.heading, m.meaning, first=FIRST[m.direction]) for m in map(MEASURES.__getitem__, metrics))

    def cells(row: Row) -> Cells:
        origin = Cell(row.init, row.init), Cell(row.source, row.source)
        return (_name(row), _seeds(row), *(_number(row, name) for name in metrics), *origin)

    notes = group.notes if block is group.blocks[-1] else ()
    return _table(group, block, "Results", id, (NAME, SEEDS, *heads, *ORIGIN), cells, notes)


def _step_table(group: Group, block: Block, id: str) -> Table:
    title = MEASURES[group.metric].title or group.metric
    columns = (NAME, *(Column(step, f"{title}, after {step}") for step in group.columns))
    return _table(
        group, block, title, id, columns, lambda row: (_name(row), *(_number(row, step) for step in group.columns))
    )


def _table(
    group: Group,
    block: Block,
    what: str,
    id: str,
    columns: tuple[Column, ...],
    cells: Callable[[Row], Cells],
    notes: tuple[str, ...] = (),
) -> Table:
    """Upper bounds are last already: they are not ranked."""
    kind = other = ""
    if block.source == "paper":
        kind = f", published in {block.title}"
    elif block.differs:
        kind = f", other protocol {group.blocks.index(block)}"
        other = f"Another protocol, not comparable with the first table: {describe(block.differs)}."
    return Table(
        columns,
        tuple(map(cells, block.rows)),
        f"{what} on {group.scenario} with {group.segmenter}{kind}",
        notes=tuple(filter(None, [other, *block.notes, *random_note(block.rows), *notes])),
        id=id,
        bounds=sum(row.upper_bound for row in block.rows),
    )


def _name(row: Row) -> Cell:
    """The name as every table prints it, the note set smaller."""
    note = f" [{row.note}]" if row.note else ""
    bound = " upper bound" if row.upper_bound else ""
    return Cell(row.name.removesuffix(note), row.name, aside=(note + bound).strip())


def _seeds(row: Row) -> Cell:
    seeds = ", ".join(map(str, row.seeds))
    return Cell(str(len(row.seeds)), float(row.n), hint=f"seeds {seeds}") if seeds else Cell("-", hint="none is named")


def _number(row: Row, column: str) -> Cell:
    cell = row.cells[column]
    if cell.mean is None:
        return Cell("-")
    spread = "" if cell.std is None else f"± {cell.std:.2f}"
    return Cell(f"{cell.mean:.2f}", cell.mean, cell.rank, spread, hint=f"n = {cell.n}")


def _ap(value: float, learned: bool) -> Cell:
    if isnan(value):
        return Cell("-", hint="no ground truth") if learned else Cell("·", hint="not learned yet")
    return Cell(f"{value:.1f}", value, heat=min(max(value / 100, 0.0), 1.0))


def _points(value: float) -> Cell:
    return Cell("-") if isnan(value) else Cell(f"{round(value, 1) + 0.0:.1f}", value)
