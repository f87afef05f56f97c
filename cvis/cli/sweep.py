"""``cvis sweep``: the runs of one table, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli import names
from cvis.cli.output import Cell, emit_json, examples, show, show_table
from cvis.cli.run import log_to_stderr, overrides_of, seeds_of, typed
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.engine.sweep import Planned

EXAMPLES = examples(
    "cvis sweep crisp_table7 --data /data/ytvis2019 --segmenter mask2former_r50 --seeds 0,1,2",
    "cvis sweep crisp_table7 --scenario synthetic-20-4 --per-step",
    "cvis sweep crisp_parts --set schedule.incremental.iterations=20 --dry-run",
    "cvis sweep my-sweep.toml --json",
)


def sweep(
    name: Annotated[
        str,
        typer.Argument(
            help="A file of configs/sweeps, or a .toml file.",
            autocompletion=names.or_files(names.sweeps, ".toml"),
            metavar="NAME|FILE",
        ),
    ],
    scenario: Annotated[
        str | None, typer.Option(help="Another stream than the file's.", autocompletion=names.scenarios)
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option(help="A segmenter. Default: mask2former_tiny.", autocompletion=names.segmenters)
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="A file of configs/schedules.", autocompletion=names.schedules)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A file of configs/presets, under all rows.", autocompletion=names.presets)
    ] = None,
    seeds: Annotated[str, typer.Option(help="Every row is run once per seed: 0,1,2.")] = "0",
    data: Annotated[Path | None, typer.Option(help="Folder of the data set. Default: $CVIS_DATA/<data set>.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of the results. Default: runs.")] = None,
    init: Annotated[str | None, typer.Option(help="random, imagenet, coco, or a checkpoint.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override any key in all rows; repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    per_step: Annotated[bool, typer.Option("--per-step", help="One column per step, of mAP_all.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and which are done, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Make the runs of a table and print it: one row per configuration, with check marks for what is on.

    Every run is one of `cvis run`: the same command again skips what is done and continues what was interrupted,
    and `cvis compare` shows the rows too.
    """
    names.refuse_unknown("sweep", name, names.sweeps)
    from cvis.engine.sweep import plan, read_sweep, refuse_unbuildable

    options = {
        "runtime.data": data and str(data),
        "runtime.runs": runs and str(runs),
        "protocol.init": init,
        "runtime.device": device,
    }
    asked = read_sweep(name)
    chosen = [seed for seed in seeds_of(None, seeds) if seed is not None]
    files = dict(segmenter=segmenter, schedule=schedule, preset=preset)
    planned = plan(asked, chosen, [*overrides_of(options), *settings], scenario, **files)
    placed = _placed(planned)
    if dry_run:
        _list(placed, as_json)
        return
    log_to_stderr()
    refuse_unbuildable(item for item, _, is_done in placed if not is_done)
    folders, failed = _run_all(planned)
    _show(planned, folders, per_step, as_json)
    if failed:
        raise UserError(f"{len(failed)} of {len(planned)} runs failed, the first: {failed[0]}")


def _run_all(planned: list[Planned]) -> tuple[list[Path], list[str]]:
    """Folders of finished runs, and what went wrong with the others. What stops the first run would stop them all."""
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


def _show(planned: list[Planned], folders: list[Path], per_step: bool, as_json: bool) -> None:
    from cvis.report.sweep import STEP_METRIC, sweep_table
    from cvis.runs.metrics_file import read_run
    from cvis.runs.paths import RunFolder

    finished = [read_run(RunFolder(folder).metrics) for folder in folders]
    swept = sweep_table(finished, {item.row: item.marks for item in planned}, per_step)
    scenario, segmenter = finished[0].scenario, finished[0].segmenter
    if as_json:
        emit_json({"schema": 1, "scenario": scenario, "segmenter": segmenter, "rows": swept.content()})
        return
    show(swept.table(), f"{scenario}  {segmenter}" + (f"  {STEP_METRIC}" if per_step else ""))
    for note in swept.notes():
        typer.echo(note)


def _placed(planned: list[Planned]) -> list[tuple[Planned, Path, bool]]:
    """Each run with the folder where it is or will be, and whether it is done."""
    from cvis.runs.folder import run_folder
    from cvis.runs.paths import RunFolder
    from cvis.scenario.spec import find_scenario, read_spec

    stream = read_spec(find_scenario(planned[0].config.scenario)).name
    folders = [run_folder(item.config.model_dump(), stream) for item in planned]
    return [(item, folder, RunFolder(folder).metrics.is_file()) for item, folder in zip(planned, folders, strict=True)]


def _list(placed: list[tuple[Planned, Path, bool]], as_json: bool) -> None:
    if as_json:
        emit_json(
            [
                {"row": item.row, "seed": item.config.runtime.seed, "folder": str(folder), "done": is_done}
                for item, folder, is_done in placed
            ]
        )
        return
    from cvis.report.sweep import CHECK

    headings = list(placed[0][0].marks)
    rows: list[list[str | Cell]] = [
        [item.row, *(CHECK if item.marks[h] else "" for h in headings), "done" if is_done else "to do", str(folder)]
        for item, folder, is_done in placed
    ]
    show_table(["row", *headings, "state", "folder"], rows, left=len(headings) + 3)
