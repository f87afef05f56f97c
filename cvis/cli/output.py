"""How commands print: tables with bold and rules on a terminal, plain columns elsewhere, JSON for scripts."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from cvis.errors import UserError, escaped
from cvis.report.formats.terminal import aligned
from cvis.report.value import Cell, Column, Table, numbers, words

__all__ = ["Cell", "broken", "check_score", "emit_json", "examples", "show", "show_table"]

STYLES = {1: "bold", 2: "underline"}
"""Rank -> style on a terminal."""


def examples(*commands: str) -> str:
    """An epilog for ``--help``; ``\\b`` keeps the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def broken(error: str | None) -> Cell:
    """Why what a package offers cannot be had, in its place in a list."""
    return Cell(f"broken: {error}", style="red")


@contextmanager
def status(work: str) -> Iterator[Callable[[str], None]]:
    """On a terminal a line that says what is being done: gives a function that is told it. Elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(escaped(work))) as line:
        yield lambda what: line.update(escape(what))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """On a terminal a bar: gives a function that is told how many are done, of how many. Elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def check_score(score: float) -> None:
    """Refuse a ``--min-score`` that no prediction, or every one, could have.

    Raises:
        UserError: it is not between 0 and 1.
    """
    if not 0 <= score <= 1:
        raise UserError(f"--min-score: {score:g}: is no score; give a number from 0 to 1")


def emit_json(value: Any) -> None:
    """Print ``value`` as JSON: numbers unrounded, keys in their own order, NaN refused."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str | Cell]], left: int = 1, title: str = "") -> None:
    """Print a table of which the first ``left`` columns are words, the others numbers."""
    cells = (tuple(Cell(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)
    show(Table((*words(*headings[:left]), *numbers(*headings[left:])), tuple(cells)), title)


def show(table: Table, title: str = "") -> None:
    """Print a table: words flush left, numbers flush right.

    On a terminal too narrow for it, the numbers continue in further tables below, each with the first columns of words;
    so they do elsewhere, if the environment names a width.
    """
    if title:
        typer.secho(fitted(title), bold=sys.stdout.isatty())
    if has_width():
        _show_rich(table)
    else:
        typer.echo("\n".join(aligned(table)))


def has_width() -> bool:
    """Whether what is printed must fit: a terminal, or ``COLUMNS``."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def fitted(text: str) -> str:
    """Lines no longer than ``COLUMNS``; a terminal breaks them itself."""
    if sys.stdout.isatty() or not has_width():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(textwrap.fill(line, width) for line in text.split("\n"))


def _show_rich(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    titles = [
        "\n".join(column.title.split()) if column.numeric else column.title for column in table.columns
    ]  # of numbers: a word per line
    left = [column.numeric for column in (*table.columns, Column(""))].index(True)
    lines = [titles, *([cell.text for cell in row] for row in table.rows)]
    widths = [max(len(line) for text in column for line in text.split("\n")) for column in zip(*lines, strict=True)]
    for shown in parts(widths, left, console.width):
        rich = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for i in shown:
            numeric = table.columns[i].numeric
            rich.add_column(Text(titles[i]), justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
        for row in table.rows:
            rich.add_row(*(Text(row[i].text, style=STYLES.get(row[i].rank) or row[i].style) for i in shown))
        console.print(rich)


def parts(widths: Sequence[int], left: int, room: int) -> list[list[int]]:
    """The columns of each table that fits a terminal ``room`` wide: the first ``left`` ones, and some of the others.

    The first ones may take half of the room at most: they can be folded, numbers cannot.

    >>> parts([11, 5, 5, 5], left=1, room=29)
    [[0, 1, 2], [0, 3]]
    """
    gap = 3  # rich's, in this style; it leaves one blank at either edge
    text = list(range(left))
    free = room + 1 - min(sum(widths[i] + gap for i in text), room // 2)
    tables, used = [list(text)], 0
    for i in range(left, len(widths)):
        if used + widths[i] + gap > free and used:
            tables.append(list(text))
            used = 0
        tables[-1].append(i)
        used += widths[i] + gap
    return tables
