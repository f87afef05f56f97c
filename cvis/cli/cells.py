"""The runs of a table as processes: listed, watched, and handed to an executor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cvis.cli.output import Cell as Entry
from cvis.cli.output import emit_json, show_table

if TYPE_CHECKING:
    from cvis.engine.sweep import Planned

STYLES = {"done": "green", "failed": "red", "running": "yellow"}


def run_cells(
    planned: list[Planned], folders: list[Path], executor: str, profile: Path | None, jobs: int | None
) -> list[str]:
    """Hand the cells to an executor; what went wrong, a line each.

    Raises:
        UserError: no such executor, or it cannot be had here.
    """
    from cvis.executors import execute
    from cvis.executors.graph import cells_of
    from cvis.executors.process import last_lines
    from cvis.executors.profile import read_profile

    cells = cells_of(planned, folders)
    codes = execute(executor, cells, read_profile(profile, jobs=jobs), lambda line: typer.echo(line, err=True))
    if not codes and not all(cell.is_done for cell in cells):
        typer.echo("submitted; the same command with --status says how far it is, and once all is done, the table")
    failed = [cell for cell in cells if codes.get(cell.name) and not cell.stops_early]
    return [f"{cell.name}: {''.join(last_lines(cell.log)) or 'was not begun'}" for cell in failed]


def list_cells(planned: list[Planned], folders: list[Path], as_json: bool, with_costs: bool) -> None:
    """Every cell with its state; and what is left to do, with what it should take by runs that were measured."""
    from cvis.executors.graph import cells_of
    from cvis.executors.status import costs, measured_seconds, status_of

    cells = cells_of(planned, folders)
    states = [status_of(cell) for cell in cells]
    seconds = costs(cells, measured_seconds(cells)) if with_costs else [None] * len(cells)
    if as_json:
        emit_json([_plain(state, cost) for state, cost in zip(states, seconds, strict=True)])
        return
    marks = {item.row: item.marks for item in planned}
    headings = list(planned[0].marks)
    rows: list[list[str | Entry]] = []
    for state, cost in zip(states, seconds, strict=True):
        row = state.cell.name.split("/")[0]
        checks = ["✓" if marks[row][heading] else "" for heading in headings]
        where = Entry(state.state, style=STYLES.get(state.state, ""))
        told = [_clock(cost), state.cell.after] if with_costs else [str(state.steps), state.says[-100:]]
        rows.append([state.cell.name, *checks, where, *told])
    last = ["takes", "after"] if with_costs else ["steps", "says"]
    show_table(["run", *headings, "state", *last], rows, left=len(headings) + 4)
    left = [cost for state, cost in zip(states, seconds, strict=True) if state.state != "done"]
    typer.echo(_summary(states, left, with_costs))


def _summary(states: list[Any], left: list[float | None], with_costs: bool) -> str:
    counts: dict[str, int] = {}
    for state in states:
        counts[state.state] = counts.get(state.state, 0) + 1
    text = ", ".join(f"{count} {state}" for state, count in counts.items())
    if with_costs and left:
        known = [cost for cost in left if cost is not None]
        unknown = len(left) - len(known)
        text += f"; left: {_clock(sum(known))} one after the other, by finished runs of these rows or their neighbours"
        text += f"; nothing is known of {unknown}" if unknown else ""
    return text


def _plain(state: Any, cost: float | None) -> dict[str, Any]:
    row, seed = state.cell.name.split("/")[:2]
    return {
        "run": state.cell.name,
        "row": row,
        "seed": int(seed.removeprefix("seed")),
        "folder": str(state.cell.folder),
        "state": state.state,
        "done": state.state == "done",
        "steps": state.steps,
        "says": state.says,
        "after": state.cell.after,
        "expected_s": cost,
        "command": ["cvis", *state.cell.words],
    }


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"
