"""``cvis sweep``: the runs of one table, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli import names
from cvis.cli.output import emit_json, examples, show
from cvis.cli.run import log_to_stderr, overrides_of, seeds_of, typed
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
    data: Annotated[Path | None, typer.Option(help="Folder of the data set. Default: $CVIS_DATA/<data set>.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of the results. Default: runs.")] = None,
    init: Annotated[str | None, typer.Option(help="random, imagenet, coco, or a checkpoint.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override any key in all rows; repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    per_step: Annotated[bool, typer.Option("--per-step", help="One column per step, of mAP_all.")] = False,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Run each as a process of its own: local (on this machine), slurm or ray. Default: one after the "
            "other in this process.",
            metavar="NAME",
            autocompletion=lambda: ["local", "ray", "slurm"],
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes side by side, with --executor local.")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="A .toml file of what a cluster offers: gpus, partition, minutes, ..")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many runs that are not done.")] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try all runs at 1 % of the schedule, in a folder of their own.")
    ] = False,
    plan_only: Annotated[
        bool,
        typer.Option("--plan", "--dry-run", help="List the runs, which are done and what they should take, and stop."),
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say how far each is, from any machine that sees the folder, and stop.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on saying it until no run is left to do.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Make the runs of a table and print it: one row per configuration, with check marks for what is on.

    Every run is one of `cvis run`: the same command again skips what is done and continues what was interrupted,
    and `cvis compare` shows the rows too.
    """
    names.refuse_unknown("sweep", name, names.sweeps)
    from cvis.runs.sweep_file import read_sweep

    whole = str(runs or "runs")
    trial = f"{whole}-smoke"
    top = trial if smoke else whole
    asked = read_sweep(name)
    chosen = [seed for seed in seeds_of(None, seeds) if seed is not None]
    stream, model = _stream(scenario or asked.scenario), segmenter or "mask2former_tiny"
    folders = _first(limit, asked.folders(top, stream, model, preset, chosen))
    if status or watch:
        from cvis.cli import watch as watching
        from cvis.executors.cells import Cell

        cells = [Cell(run, (), folder) for run, folder in folders.items()]
        watching.watch(cells) if watch else watching.show_status(cells, as_json)
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
    _refuse_other_places(planned, top)
    planned = [item for item in planned if item.name in folders]
    if plan_only:
        from cvis.cli.cells import list_plan

        list_plan(planned, list(folders.values()), Path(trial), as_json)
        return
    log_to_stderr()
    refuse_unbuildable(item for item in planned if not _is_done(folders[item.name]))
    if executor:
        from cvis.cli.cells import run_cells

        failed = run_cells(planned, list(folders.values()), executor, profile, jobs)
        finished = [folder for folder in folders.values() if _is_done(folder)]
    else:
        finished, failed = _run_all(planned)
    if finished:
        _show(planned, finished, per_step, as_json)
    if failed:
        raise UserError(f"{len(failed)} of {len(planned)} runs failed, the first: {failed[0]}")


def _stream(scenario: str) -> str:
    from cvis.scenario.spec import find_scenario, read_spec

    return read_spec(find_scenario(scenario)).name


def _is_done(folder: Path) -> bool:
    from cvis.runs.paths import RunFolder

    return RunFolder(folder).metrics.is_file()


def _first(limit: int | None, folders: dict[str, Path]) -> dict[str, Path]:
    """Those that are done, and so many of the others."""
    to_do = [run for run, folder in folders.items() if not _is_done(folder)] if limit else []
    later = {*to_do[limit:]}
    return {run: folder for run, folder in folders.items() if run not in later}


def _refuse_other_places(planned: list[Planned], top: str) -> None:
    """Where runs lie is told from names alone, so that --status need not resolve what they are."""
    for item in planned:
        if (place := item.config.runtime.runs) != top:
            raise UserError(f"row {item.row}: runtime.runs: {place!r}: the runs of a sweep lie together; use --runs")


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
