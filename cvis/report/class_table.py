"""The class x step matrix as a table, and what was forgotten of every class."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cvis.errors import UserError
from cvis.report.class_views import ClassByStep, ClassForgetting, class_by_step, class_forgetting
from cvis.report.formats.comma import cell
from cvis.report.formats.markdown import escape
from cvis.report.formats.terminal import aligned
from cvis.report.rows import printed
from cvis.report.views import Entry, entries
from cvis.runs.find import LeftOut, RunResult

FORMATS = ("terminal", "md", "csv", "json")
LEGEND = (
    "Mean over seeds, x100; - before a class was learned, and where nothing can be forgotten yet. best: after any step "
    "but the last; forgetting: best minus last, in points of AP."
)
COLUMNS = (
    *("scenario", "segmenter", "block", "learner", "name", "seeds", "run_ids", "class_id", "class", "learned_at"),
    *("metric", "step", "value", "first_AP", "best_AP", "final_AP", "forgetting"),
)


@dataclass(frozen=True)
class ClassTable:
    """One row of the result table, class by class."""

    entry: Entry
    matrix: ClassByStep
    forgetting: tuple[ClassForgetting, ...]

    @property
    def title(self) -> str:
        entry, seeds = self.entry, ", ".join(map(str, self.entry.row.seeds))
        other = f"  (another protocol: {', '.join(entry.differs)})" if entry.differs else ""
        return f"{entry.scenario}  {entry.segmenter}  {entry.label}  {self.matrix.metric}  seeds {seeds}{other}"

    @property
    def headings(self) -> list[str]:
        return ["class", "new at", *(f"step {t}" for t in self.matrix.steps), "best", "forgetting"]

    @property
    def rows(self) -> list[list[str]]:
        lines = zip(self.matrix.learned_at, self.matrix.values, self.forgetting, strict=True)
        return [
            [own.name, str(since), *map(_number, [*values, own.best, own.forgetting])] for since, values, own in lines
        ]

    @property
    def note(self) -> str:
        """Names the classes that no mean holds; empty without any."""
        names = dict(zip(self.matrix.classes, self.matrix.names, strict=True))
        gone = ", ".join(names[c] for c in self.matrix.no_ground_truth)
        return f"Without ground truth in the test videos: {gone}." if gone else ""

    def as_json(self) -> dict[str, Any]:
        entry = self.entry
        return {
            "scenario": entry.scenario,
            "segmenter": entry.segmenter,
            "block": entry.block + 1,
            "learner": entry.row.learner,
            "name": entry.label,
            "seeds": list(entry.row.seeds),
            "run_ids": list(entry.row.run_ids),
            **self.matrix.as_json(),
            "forgetting": [own.as_json() for own in self.forgetting],
        }


def class_tables(runs: Sequence[RunResult], metric: str = "AP") -> list[ClassTable]:
    """A table per row of the result table, in its order.

    Raises:
        UserError: an unknown metric, a damaged file, or seeds whose classes differ.
    """
    return [
        ClassTable(entry, class_by_step(entry.runs, metric), tuple(class_forgetting(entry.runs)))
        for entry in entries(runs)
    ]


def check_format(format: str) -> None:
    """Refuse a format before the work is done.

    Raises:
        UserError: none of ``FORMATS``.
    """
    if format not in FORMATS:
        raise UserError(f"--format {format}: not for tables of classes; choose of {', '.join(FORMATS)}")


def render(tables: Sequence[ClassTable], format: str, left_out: Sequence[LeftOut] = ()) -> str:
    """The tables as text of one format, ending in a line feed; numbers unrounded in CSV and JSON.

    Args:
        left_out: runs that are no rows; only JSON lists them.

    Raises:
        UserError: an unknown format.
    """
    check_format(format)
    if format == "json":
        items = [{"path": str(item.path), "reason": item.reason} for item in left_out]
        content = {"schema": 1, "per_class": [table.as_json() for table in tables], "left_out": items}
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    return {"terminal": _text, "md": _markdown, "csv": _comma_separated}[format](tables)


def _text(tables: Sequence[ClassTable]) -> str:
    lines = []
    for table in tables:
        lines += [table.title, *aligned([table.headings, *table.rows], left=1), *([table.note] if table.note else [])]
        lines.append("")
    return "\n".join([*lines, LEGEND]) + "\n"


def _markdown(tables: Sequence[ClassTable]) -> str:
    """For GitHub: a heading and a table each."""
    parts = []
    for table in tables:
        rule = [":---", *["---:"] * (len(table.headings) - 1)]
        lines = [table.headings, rule, *([escape(text) for text in row] for row in table.rows)]
        parts += [f"### {escape(table.title)}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        parts += [escape(table.note)] if table.note else []
    return "\n\n".join([*parts, LEGEND]) + "\n"


def _comma_separated(tables: Sequence[ClassTable]) -> str:
    """A line for each row, class and step; numbers unrounded, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for table in tables:
        entry, matrix = table.entry, table.matrix
        row = [entry.scenario, entry.segmenter, entry.block + 1, entry.row.learner, entry.label]
        row += [" ".join(map(str, entry.row.seeds)), " ".join(entry.row.run_ids)]
        for own, values in zip(table.forgetting, matrix.values, strict=True):
            numbers = [_raw(v) for v in (own.first, own.best, own.final, own.forgetting)]
            for step, value in zip(matrix.steps, values, strict=True):
                place = [own.category_id, own.name, own.learned_at, matrix.metric, step]
                writer.writerow(map(cell, [*row, *place, _raw(value), *numbers]))
    return text.getvalue()


def _number(value: float) -> str:
    return "-" if math.isnan(value) else printed(float(value))


def _raw(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
