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
    "cvis sweep crisp_parts --seeds 0,1,2 --status",
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Make the runs of a table and print it: one row per configuration, with check marks for what is on.

    Every run is one of `cvis run`: the same command again skips what is done and continues what was interrupted,
    and `cvis compare` shows the rows too.
    """
    names.refuse_unknown("sweep", name, names.sweeps)
    from cvis.engine.sweep import plan, read_sweep, refuse_unbuildable
    from cvis.runs.paths import RunFolder

    if smoke:
        runs = Path(f"{runs or 'runs'}-smoke")
    options = {
        "runtime.data": data and str(data),
        "runtime.runs": runs and str(runs),
        "protocol.init": init,
        "runtime.device": device,
        "schedule.scale": 0.01 if smoke else None,
    }
    asked = read_sweep(name)
    chosen = [seed for seed in seeds_of(None, seeds) if seed is not None]
    files = dict(segmenter=segmenter, schedule=schedule, preset=preset)
    planned = plan(asked, chosen, [*overrides_of(options), *settings], scenario, **files)
    folders = _folders(planned)
    if limit:
        to_do = [i for i, folder in enumerate(folders) if not RunFolder(folder).metrics.is_file()]
        kept = {*range(len(planned))} - {*to_do[limit:]}
        planned, folders = [planned[i] for i in sorted(kept)], [folders[i] for i in sorted(kept)]
    if plan_only or status:
        from cvis.cli.cells import list_cells

        list_cells(planned, folders, as_json, plan_only)
        return
    log_to_stderr()
    refuse_unbuildable(
        item for item, folder in zip(planned, folders, strict=True) if not RunFolder(folder).metrics.is_file()
    )
    if executor:
        from cvis.cli.cells import run_cells

        failed = run_cells(planned, folders, executor, profile, jobs)
        folders = [folder for folder in folders if RunFolder(folder).metrics.is_file()]
    else:
        folders, failed = _run_all(planned)
    if folders:
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


def _folders(planned: list[Planned]) -> list[Path]:
    """Where each run is or will be."""
    from cvis.runs.folder import run_folder
    from cvis.scenario.spec import find_scenario, read_spec

    stream = read_spec(find_scenario(planned[0].config.scenario)).name
    return [run_folder(item.config.model_dump(), stream) for item in planned]


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
