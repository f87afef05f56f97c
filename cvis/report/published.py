"""Numbers that papers printed: the files of ``benchmarks/published``, and their rows in a result table.

They were measured by others, on other data splits. So they are shown only on request, in blocks of their own with
the source ``paper``, are ranked among themselves at most, and carry their notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from cvis.errors import UserError, did_you_mean
from cvis.evaluation.measures import COLUMNS, MEASURES, METRICS, STEP_METRICS
from cvis.files import shipped
from cvis.report.rows import Block, Group, Row, Statistic
from cvis.report.table import ranked
from cvis.validation import validate

Percentage = Annotated[float, Field(ge=-100, le=100, strict=True)]
Metric = Annotated[str, Field(pattern=f"^({'|'.join(METRICS)})$")]
StepMetric = Annotated[str, Field(pattern=f"^({'|'.join(STEP_METRICS)})$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedRow(_Part):
    """One printed row."""

    method: str  # as printed
    learner: str  # ours of the same method, whether it exists or not
    final: dict[Metric, Percentage]
    steps: dict[StepMetric, Annotated[list[Percentage], Field(min_length=1)]]  # a value per step of the stream


class PublishedTable(_Part):
    """Rows that were measured together. What is below ``rows`` a file says once for all its tables."""

    scenario: str  # our name of the stream
    title: str
    rows: list[PublishedRow] = Field(min_length=1)
    notes: list[str] = []
    segmenter: str = ""
    init: str = ""


class _File(_Part):
    version: Literal[1] = Field(alias="schema")
    source: str
    segmenter: str
    init: str
    notes: list[str] = []
    tables: list[PublishedTable]


def load_published(folder: Path | None = None) -> tuple[PublishedTable, ...]:
    """The tables of all ``.yaml`` files in a folder, by default of the shipped ones.

    Raises:
        UserError: a file is missing or not what its schema says.
    """
    folder = folder or shipped("benchmarks/published")
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise UserError(f"{folder}: has no .yaml file of published numbers; install cvis again")
    return tuple(table for file in files for table in _read(file))


def _read(path: Path) -> list[PublishedTable]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not YAML: {' '.join(str(error).split())}; correct it there") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: top level: {content!r:.60}: is not a table; correct it there")
    file = validate(_File, content, str(path))
    shared = {"segmenter": file.segmenter, "init": file.init}
    return [
        table.model_copy(update={**shared, "title": f"{file.source}, {table.title}", "notes": file.notes + table.notes})
        for table in file.tables
    ]


def with_published(
    groups: Sequence[Group],
    tables: Sequence[PublishedTable],
    scenarios: Iterable[str] = (),
    metrics: Sequence[str] = (),
    metric: str = "",
) -> list[Group]:
    """The groups with the published rows of their scenarios, each table as a block of its own.

    A block stands behind our rows of the same segmenter; where there are none, in a group of its own.

    Args:
        scenarios: show these too, runs or not.
        metrics: columns of groups without runs (default: all that were published).
        metric: the columns are its steps, as in :func:`cvis.report.table.per_step`.

    Raises:
        UserError: one of ``scenarios`` has no published numbers.
    """
    asked = list(dict.fromkeys(scenarios))
    known = {table.scenario for table in tables}
    if unknown := [name for name in asked if name not in known]:
        hint = did_you_mean(unknown[0], sorted(known))
        raise UserError(f"--published {unknown[0]}: has no published numbers; {hint}")
    joined = list(groups)
    for scenario in sorted({*(group.scenario for group in groups), *asked}):
        of_stream = [table for table in tables if table.scenario == scenario]
        fitting = [table for table in of_stream if not metric or any(metric in row.steps for row in table.rows)]
        for table in fitting:
            _place(joined, table, metrics, metric)
        if not fitting:
            what = f"{metric} was not published per step" if of_stream else "no published numbers are known"
            _note(joined, scenario, metric, f"{scenario}: {what}.")
    return sorted(joined, key=lambda group: (group.scenario, group.segmenter))


def _place(groups: list[Group], table: PublishedTable, metrics: Sequence[str], metric: str) -> None:
    """Into the group with the same columns, or a new one."""
    length = max(len(row.steps.get(metric, ())) for row in table.rows)
    steps = tuple(f"step {i}" for i in range(length)) if metric else None
    for i, group in enumerate(groups):
        if (group.scenario, group.segmenter) == (table.scenario, table.segmenter) and steps in (None, group.columns):
            groups[i] = replace(group, blocks=(*group.blocks, _block(table, group.columns, metric)))
            return
    printed = {name for row in table.rows for name in row.final}
    columns = steps or tuple(metrics) or tuple(name for name in COLUMNS if name in printed)
    groups.append(Group(table.scenario, table.segmenter, (_block(table, columns, metric),), columns, metric))


def _note(groups: list[Group], scenario: str, metric: str, note: str) -> None:
    for i in reversed(range(len(groups))):
        if groups[i].scenario == scenario:
            groups[i] = replace(groups[i], notes=(*groups[i].notes, note))
            return
    groups.append(Group(scenario, "", (), (), metric, (note,)))


def _block(table: PublishedTable, columns: Sequence[str], metric: str) -> Block:
    better = {name: "higher" if metric else MEASURES[name].direction for name in columns}
    rows = [_row(table, row, columns, metric) for row in table.rows]
    return Block({}, {}, ranked(rows, better), "paper", table.title, tuple(table.notes))


def _row(table: PublishedTable, row: PublishedRow, columns: Sequence[str], metric: str) -> Row:
    values: Mapping[str, float] = row.final
    if metric:
        values = {f"step {i}": value for i, value in enumerate(row.steps.get(metric, ()))}
    cells = {name: Statistic(values[name], n=1) if name in values else Statistic(None) for name in columns}
    return Row(row.learner, (), table.init, cells, label=row.method, source="paper")
