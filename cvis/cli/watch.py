"""How far the runs of a table are: printed once, or watched while they run."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from cvis.cli.output import Cell as Entry
from cvis.cli.output import emit_json, show_table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from cvis.executors.cells import Cell
    from cvis.executors.status import Status

STYLES = {"done": "green", "failed": "red", "running": "yellow"}
LOOK_S = 2.0
"""Between two looks at the files, which may be far away."""


def show_status(cells: Sequence[Cell], as_json: bool) -> None:
    """Every cell with its state, its finished steps and the last line of its log."""
    from cvis.executors.status import status_of

    states = [status_of(cell) for cell in cells]
    if as_json:
        emit_json([plain(state) for state in states])
        return
    rows: list[list[str | Entry]] = [[s.cell.name, entry(s), str(s.steps), s.says[-100:]] for s in states]
    show_table(["run", "state", "steps", "says"], rows, left=4)
    typer.echo(counts(states))


def watch(cells: Sequence[Cell]) -> None:
    """Show how far cells are until none is left to do; elsewhere than on a terminal a line whenever that changes.

    What waits for a cell that failed is not left to do: the next attempt of it is another command.
    """
    from cvis.executors.status import status_of

    shown = [cell for cell in cells if not cell.stops_early]
    first = {cell.name: cell for cell in cells if cell.stops_early}
    said = ""
    with live(shown) as tell:
        while True:
            states = [status_of(cell) for cell in shown]
            if (now := counts(states)) != said and not sys.stderr.isatty():
                tell(now)
            said = now
            left = [state.cell for state in states if state.state not in ("done", "failed")]
            failed = {
                name for name in {cell.after for cell in left if cell.after} if status_of(first[name]).state == "failed"
            }
            if all(cell.after in failed for cell in left):
                for cell in left:
                    tell(f"{cell.name}: not begun: it needs {cell.after}")
                return
            time.sleep(LOOK_S)


@contextmanager
def live(cells: Sequence[Cell]) -> Iterator[Callable[[str], None]]:
    """Within, on a terminal, cells that run, failed or stopped, and how many there are of each state.

    Gives a function that prints a line on stderr, above what is shown; elsewhere than on a terminal it is all there is.
    """
    if not sys.stderr.isatty():
        yield lambda line: typer.echo(line, err=True)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    with Live(
        get_renderable=lambda: _view(cells, console), console=console, refresh_per_second=1 / LOOK_S, transient=True
    ):
        yield lambda line: console.print(line, markup=False)


def _view(cells: Sequence[Cell], console: Console) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from cvis.executors.status import status_of

    states = [status_of(cell) for cell in cells]
    shown = sorted((s for s in states if s.state not in ("done", "waiting")), key=lambda s: s.state != "running")
    table = Table.grid(padding=(0, 2))
    for state in shown[: max(1, console.height - 3)]:
        says = Text(state.says, no_wrap=True, overflow="ellipsis")
        table.add_row(state.cell.name, Text(state.state, style=STYLES.get(state.state, "")), says)
    return Group(table, Text(counts(states)))


def counts(states: Sequence[Status]) -> str:
    """How many there are of each state: ``1 running, 3 waiting``."""
    return ", ".join(f"{count} {state}" for state, count in sorted(Counter(s.state for s in states).items()))


def entry(state: Status) -> Entry:
    return Entry(state.state, style=STYLES.get(state.state, ""))


def plain(state: Status) -> dict[str, Any]:
    return {
        "run": state.cell.name,
        "row": state.cell.row,
        "seed": int(state.cell.folder.name.removeprefix("seed")),
        "folder": str(state.cell.folder),
        "state": state.state,
        "done": state.state == "done",
        "steps": state.steps,
        "says": state.says,
    }
