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
    """Print a table; the first ``left`` columns are text and flush left, the others numbers and flush right."""
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

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(Text(heading), justify="left" if i < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(c), style=c.style if isinstance(c, Styled) else "") for c in row))
    Console(highlight=False).print(table)


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Styled) else cell
