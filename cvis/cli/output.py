"""How commands print: tables with bold and rules on a terminal, plain columns elsewhere, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import typer


class Styled(NamedTuple):
    """A cell that stands out on a terminal; elsewhere only its text is printed."""

    text: str
    style: str  # of rich: "bold", "underline", "red"


Cell = str | Styled


def examples(*commands: str) -> str:
    """An epilog for ``--help``; ``\\b`` keeps the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def emit_json(value: Any) -> None:
    """Print ``value`` as JSON: numbers unrounded, keys in their own order, NaN refused."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], left: int = 1, title: str = "") -> None:
    """Print a table; the first ``left`` columns are text and flush left, the others numbers and flush right.

    On a terminal too narrow for it, the numbers continue in further tables below, each with the text columns.
    """
    if title:
        typer.secho(title, bold=sys.stdout.isatty())
    if sys.stdout.isatty():
        _show_rich(headings, rows, left)
    else:
        _show_plain(headings, rows, left)


def _show_plain(headings: Sequence[str], rows: Sequence[Sequence[Cell]], left: int) -> None:
    texts = [list(headings), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    for line in texts:
        cells = [
            text.ljust(width) if i < left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())


def _show_rich(headings: Sequence[str], rows: Sequence[Sequence[Cell]], left: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    titles = [h if i < left else "\n".join(h.split()) for i, h in enumerate(headings)]  # a word per line
    columns = zip(titles, *rows, strict=True)
    widths = [max(len(line) for cell in column for line in _text(cell).split("\n")) for column in columns]
    for shown in parts(widths, left, console.width):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for i in shown:
            is_text = i < left
            table.add_column(
                Text(titles[i]), justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text
            )
        for row in rows:
            cells = (row[i] for i in shown)
            table.add_row(*(Text(_text(c), style=c.style if isinstance(c, Styled) else "") for c in cells))
        console.print(table)


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


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Styled) else cell
