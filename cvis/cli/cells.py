"""The runs of a table, planned, and made here or by an executor: what `cvis sweep` and `cvis matrix` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli.output import Cell as Entry
from cvis.cli.output import emit_json, show_table
from cvis.cli.watch import counts, entry, live, plain, show_status
from cvis.cli.watch import watch as watch_cells
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.engine.sweep import Planned
    from cvis.executors.cells import Cell

Data = Annotated[Path | None, typer.Option(help="Folder of the data set. Default: $CVIS_DATA/<data set>.")]
Executor = Annotated[
    str | None,
    typer.Option(
        help="Run each as a process of its own: local (on this machine), slurm or ray. Default: one after the "
        "other in this process.",
        metavar="NAME",
        autocompletion=lambda: ["local", "ray", "slurm"],
    ),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes side by side, with --executor local.")]
ProfileFile = Annotated[
    Path | None, typer.Option(help="A .toml file of what a cluster offers: gpus, partition, minutes, ..")
]
PlanOnly = Annotated[
    bool,
    typer.Option("--plan", "--dry-run", help="List the runs, which are done and what they should take, and stop."),
]
StatusOnly = Annotated[
    bool, typer.Option("--status", help="Say how far each is, from any machine that sees the folder, and stop.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on saying it until no run is left to do.")]


def stream_of(scenario: str) -> str:
    """The name of a stream, of which its file may have another."""
    from cvis.scenario.spec import find_scenario, read_spec

    return read_spec(find_scenario(scenario)).name


def is_done(folder: Path) -> bool:
    from cvis.runs.paths import RunFolder

    return RunFolder(folder).metrics.is_file()


def refuse_other_places(planned: Sequence[Planned], top: str) -> None:
    """Where runs lie is told from names alone, so that --status need not resolve what they are."""
    for item in planned:
        if (place := item.config.runtime.runs) != top:
            raise UserError(f"row {item.row}: runtime.runs: {place!r}: the runs of a table lie together; use --runs")


def look(
    planned: Sequence[Planned], folders: Sequence[Path], plan_only: bool, status: bool, watch: bool, as_json: bool
) -> bool:
    """What ``--plan``, ``--status`` or ``--watch`` shows; False if none of them was given."""
    from cvis.executors.cells import Cell
    from cvis.executors.graph import cells_of

    if watch:
        watch_cells(cells_of(planned, folders))
    elif status:
        show_status([Cell(item.name, (), folder) for item, folder in zip(planned, folders, strict=True)], as_json)
    elif plan_only:
        list_plan(planned, folders, as_json)
    return watch or status or plan_only


def run_here(planned: Sequence[Planned]) -> tuple[list[Path], list[str]]:
    """Folders of finished runs, and what went wrong with the others. What stops the first run would stop them all."""
    from cvis.cli.run import typed
    from cvis.engine.run import run

    folders: list[Path] = []
    failed: list[str] = []
    for index, item in enumerate(planned):
        which = f"row {item.row}, seed {item.config.runtime.seed}"
        typer.echo(f"{which} ({index + 1} of {len(planned)})", err=True)
        try:
            folders.append(run(item.config, typed()))
        except UserError as error:
            if not folders:
                raise
            failed.append(f"{which}: {error}")
    return folders, failed


def run_cells(
    planned: Sequence[Planned], folders: Sequence[Path], executor: str, profile: Path | None, jobs: int | None
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
    with live([cell for cell in cells if not cell.stops_early]) as tell:
        codes = execute(executor, cells, read_profile(profile, jobs=jobs), tell)
    if not codes and not all(cell.is_done for cell in cells):
        typer.echo("submitted; the same command with --status says how far it is, and once all is done, the table")
    failed = [cell for cell in cells if codes.get(cell.name) and not cell.stops_early]
    return [f"{cell.name}: {''.join(last_lines(cell.log)) or 'was not begun'}" for cell in failed]


def list_plan(planned: Sequence[Planned], folders: Sequence[Path], as_json: bool) -> None:
    """Every cell, whether it is done, what it waits for, and what it should take by runs that were measured.

    Runs of a ``--smoke``, in the folder beside, have been measured too.
    """
    from cvis.executors.graph import cells_of
    from cvis.executors.status import status_of

    cells = cells_of(planned, folders)
    states = [status_of(cell) for cell in cells]
    expected = _expected(planned, cells, Path(f"{planned[0].config.runtime.runs}-smoke"))
    if as_json:
        more = (
            {"after": cell.after, "expected_s": expected[cell.name], "command": ["cvis", *cell.words]} for cell in cells
        )
        emit_json([{**plain(state), **each} for state, each in zip(states, more, strict=True)])
        return
    marks = {item.row: item.marks for item in planned}
    headings = list(planned[0].marks)
    rows: list[list[str | Entry]] = []
    for state in states:
        cell = state.cell
        checks = ["✓" if marks[cell.row][heading] else "" for heading in headings]
        rows.append([cell.name, *checks, entry(state), _clock(expected[cell.name]), cell.after])
    show_table(["run", *headings, "state", "takes", "after"], rows, left=len(headings) + 4)
    left = [expected[state.cell.name] for state in states if state.state != "done"]
    known = [cost for cost in left if cost is not None]
    text = f"; left: {_clock(sum(known))} one after the other, by runs like them that were measured" if known else ""
    unknown = f"; nothing is known of {len(left) - len(known)}" if len(known) < len(left) else ""
    typer.echo(f"{counts(states)}{text}{unknown}")


def _expected(planned: Sequence[Planned], cells: Sequence[Cell], trial: Path) -> Mapping[str, float | None]:
    """Name of a cell -> the seconds that it should take; a step 0 counts in the cell that makes it."""
    from cvis.engine.pace import measured, seconds_of

    tops = {cell.folder.parents[1] for cell in cells}
    paces = measured([*tops, *(trial.joinpath(*top.parts[-2:]) for top in tops)])
    configs = {item.row: item.config for item in planned}
    known: dict[tuple[str, bool, bool], float | None] = {}  # the seeds of a row take equally long
    expected = {}
    for cell in cells:
        kind = cell.row, not cell.given_step0, not cell.stops_early
        if kind not in known:
            known[kind] = seconds_of(configs[cell.row], paces, *kind[1:])
        expected[cell.name] = known[kind]
    return expected


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"
