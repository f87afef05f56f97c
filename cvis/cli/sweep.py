"""``cvis sweep``: the runs of one table, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli import names
from cvis.cli.cells import (
    Data,
    Executor,
    Jobs,
    PlanOnly,
    ProfileFile,
    StatusOnly,
    Watch,
    is_done,
    look,
    refuse_other_places,
    run_cells,
    run_here,
    stream_of,
)
from cvis.cli.output import emit_json, examples, show
from cvis.cli.run import log_to_stderr, overrides_of, seeds_of
from cvis.cli.watch import show_status
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.engine.sweep import Planned

EXAMPLES = examples(
    "cvis sweep crisp_table7 --data /data/ytvis2019 --segmenter mask2former_r50 --seeds 0,1,2",
    "cvis sweep crisp_table7 --scenario synthetic-20-4 --per-step",
    "cvis sweep crisp_parts --set schedule.incremental.iterations=20 --plan",
    "cvis sweep crisp_parts --seeds 0,1,2 --executor local --jobs 4",
    "cvis sweep crisp_parts --seeds 0,1,2 --executor slurm --profile cluster.toml",
    "cvis sweep crisp_parts --seeds 0,1,2 --status --watch",
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
    data: Data = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of the results. Default: runs.")] = None,
    init: Annotated[str | None, typer.Option(help="random, imagenet, coco, or a checkpoint.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override any key in all rows; repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    per_step: Annotated[bool, typer.Option("--per-step", help="One column per step, of mAP_all.")] = False,
    executor: Executor = None,
    jobs: Jobs = None,
    profile: ProfileFile = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many runs that are not done.")] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try all runs at 1 % of the schedule, in a folder of their own.")
    ] = False,
    plan_only: PlanOnly = False,
    status: StatusOnly = False,
    watch: Watch = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Make the runs of a table and print it: one row per configuration, with check marks for what is on.

    Every run is one of `cvis run`: the same command again skips what is done and continues what was interrupted,
    and `cvis compare` shows the rows too.
    """
    names.refuse_unknown("sweep", name, names.sweeps)
    from cvis.runs.sweep_file import read_sweep

    top = str(runs or "runs") + ("-smoke" if smoke else "")
    asked = read_sweep(name)
    chosen = [seed for seed in seeds_of(None, seeds) if seed is not None]
    stream, model = stream_of(scenario or asked.scenario), segmenter or "mask2former_tiny"
    folders = _first(limit, asked.folders(top, stream, model, preset, chosen))
    if status and not watch:
        from cvis.executors.cells import Cell

        show_status([Cell(run, (), folder) for run, folder in folders.items()], as_json)
        return
    from cvis.engine.sweep import plan, refuse_unbuildable

    options = {
        "runtime.data": data and str(data),
        "runtime.runs": top if smoke or runs else None,
        "protocol.init": init,
        "runtime.device": device,
        "schedule.scale": 0.01 if smoke else None,
    }
    files = dict(segmenter=segmenter, schedule=schedule, preset=preset)
    planned = plan(asked, chosen, [*overrides_of(options), *settings], scenario, **files)
    refuse_other_places(planned, top)
    planned = [item for item in planned if item.name in folders]
    if look(planned, list(folders.values()), plan_only, False, watch, as_json):
        return
    log_to_stderr()
    refuse_unbuildable(item for item in planned if not is_done(folders[item.name]))
    if executor:
        failed = run_cells(planned, list(folders.values()), executor, profile, jobs)
        finished = [folder for folder in folders.values() if is_done(folder)]
    else:
        finished, failed = run_here(planned)
    if finished:
        _show(planned, finished, per_step, as_json)
    if failed:
        raise UserError(f"{len(failed)} of {len(planned)} runs failed, the first: {failed[0]}")


def _first(limit: int | None, folders: dict[str, Path]) -> dict[str, Path]:
    """Those that are done, and so many of the others."""
    to_do = [run for run, folder in folders.items() if not is_done(folder)] if limit else []
    later = {*to_do[limit:]}
    return {run: folder for run, folder in folders.items() if run not in later}


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
