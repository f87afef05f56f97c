"""``cvis matrix``: every learner with every segmenter, and whether the learners' order is the same."""

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
from cvis.cli.output import examples
from cvis.cli.run import log_to_stderr, overrides_of, seeds_of
from cvis.cli.tables import FORMAT_HELP, AsJson, Out, choose_format, deliver, demand, finish, formats
from cvis.errors import UserError, did_you_mean
from cvis.evaluation.measures import METRICS

if TYPE_CHECKING:
    from cvis.engine.matrix import Pair
    from cvis.engine.sweep import Planned

EXAMPLES = examples(
    "cvis matrix synthetic-20-4 --plan",
    "cvis matrix synthetic-20-4 --learners finetune,replay,joint --seeds 0,1,2",
    "cvis matrix synthetic-20-4 --executor local --jobs 4",
    "cvis matrix ytvis2019-20-4 --segmenters mask2former_r50,ctvis_r50 --set protocol.init=coco --plan",
    "cvis matrix synthetic-20-4 --show --metric FR --plot matrix.svg",
    "cvis matrix synthetic-20-4 --show --runs runs --runs results.zip --json",
)


def matrix(
    scenario: Annotated[
        str,
        typer.Argument(
            help="A stream of `cvis scenario list`, or a .toml file.",
            autocompletion=names.or_files(names.scenarios, ".toml"),
        ),
    ],
    learners: Annotated[
        str | None,
        typer.Option(
            help="The rows: a,b. Default: all of `cvis learners`. With --show also what runs are called.",
            autocompletion=names.listed(names.learners),
        ),
    ] = None,
    segmenters: Annotated[
        str | None,
        typer.Option(
            help="The columns: x,y. Default: all of `cvis segmenters` that end in _tiny.",
            autocompletion=names.listed(names.segmenters),
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="Every pair is run once per seed: 0,1,2. The table is of all seeds there are.")
    ] = "0",
    metric: Annotated[
        str,
        typer.Option(help=f"What the table shows: {', '.join(METRICS)}.", autocompletion=lambda: list(METRICS)),
    ] = METRICS[0],
    data: Data = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the results; may be repeated: further ones are only read. Default: runs."),
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override any key in all runs; repeatable.")
    ] = [],  # noqa: B006  # typer copies it
    executor: Executor = None,
    jobs: Jobs = None,
    profile: ProfileFile = None,
    show: Annotated[bool, typer.Option("--show", help="Print the table of what is there; run nothing.")] = False,
    plan_only: PlanOnly = False,
    status: StatusOnly = False,
    watch: Watch = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw it: a .svg, .pdf or .png file.")] = None,
    format: Annotated[str | None, typer.Option(help=FORMAT_HELP, autocompletion=formats, metavar="FORMAT")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Run every learner with every segmenter, and print the table: does the learners' order survive another model?

    The same command again goes on, as `cvis sweep` does. Pairs of which the model lacks what the learner needs are not
    run, and the table says why. Below it Kendall's tau-b of every two columns.
    """
    names.refuse_unknown("scenario", scenario, names.scenarios)
    rows = _words("--learners", learners) or names.learners()
    columns = _words("--segmenters", segmenters) or [name for name in names.segmenters() if name.endswith("_tiny")]
    if metric not in METRICS:
        raise UserError(f"--metric {metric}: no such metric; {did_you_mean(metric, METRICS)}")
    chosen = choose_format(format, out, as_json)
    if plot is not None:
        from cvis.report.plots.output import check_format

        check_format(plot, "--plot")
    tops, folders, failed = list(map(str, runs or [Path("runs")])), list[Path](), list[str]()
    if show:
        from cvis.engine.matrix import undefined

        reasons = undefined(rows, columns)
    else:
        options = overrides_of({"runtime.data": data and str(data), "runtime.runs": tops[0]})
        planned, folders, reasons = _plan(scenario, rows, columns, seeds, [*options, *settings], tops)
        if look(planned, folders, plan_only, status, watch, as_json):
            return
        log_to_stderr()
        if executor:
            failed = run_cells(planned, folders, executor, profile, jobs)
        else:
            left = [item for item, folder in zip(planned, folders, strict=True) if not is_done(folder)]
            failed = run_here(left)[1]
    if show or any(map(is_done, folders)):
        _print(stream_of(scenario), rows, columns, metric, tops, reasons, chosen, out, plot)
    if failed:
        raise UserError(f"{len(failed)} runs failed, the first: {failed[0]}")


def _words(option: str, text: str | None) -> list[str]:
    """What an option names, separated by commas."""
    words = [word.strip() for word in text.split(",")] if text is not None else []
    for word in words:
        if not word or words.count(word) > 1:
            raise UserError(f"{option} {text}: names {repr(word) + ' twice' if word else 'nothing'}; write a,b")
    return words


def _plan(
    scenario: str, learners: list[str], segmenters: list[str], seeds: str, settings: list[str], tops: list[str]
) -> tuple[list[Planned], list[Path], dict[Pair, str]]:
    """The runs, the folder of each, and the pairs that cannot be, with the reasons.

    Raises:
        UserError: an unknown name, a setting that is not possible, or there is nothing to run.
    """
    for kind, asked, known in (("learner", learners, names.learners), ("segmenter", segmenters, names.segmenters)):
        for name in asked:
            names.refuse_unknown(kind, name, known)
    chosen = [seed for seed in seeds_of(None, seeds) if seed is not None]
    stream = stream_of(scenario)
    from cvis.engine.matrix import plan_matrix, refused, undefined

    reasons = undefined(learners, segmenters)
    planned = plan_matrix(scenario, learners, segmenters, chosen, settings, reasons)
    refuse_other_places(planned, tops[0])
    places = {item.name: _place(item, stream, tops) for item in planned}
    reasons |= refused(item for item in planned if not is_done(places[item.name]))
    planned = [item for item in planned if (item.config.names.run, item.config.names.segmenter) not in reasons]
    if not planned:
        raise UserError(f"no learner works with a segmenter of these, the first: {next(iter(reasons.values()))}")
    return planned, [places[item.name] for item in planned], reasons


def _place(item: Planned, stream: str, tops: list[str]) -> Path:
    """Where a run is finished, or, if it is nowhere, is to be made."""
    from cvis.runs.folder import run_folder

    where = item.config.model_dump(include={"names", "runtime"})
    places = [run_folder({**where, "runtime": {**where["runtime"], "runs": top}}, stream) for top in tops]
    return next(filter(is_done, places), places[0])


def _print(
    stream: str,
    learners: list[str],
    segmenters: list[str],
    metric: str,
    tops: list[str],
    undefined: dict[Pair, str],
    format: str,
    out: Path | None,
    plot: Path | None,
) -> None:
    from cvis.report import load_runs
    from cvis.report.matrix import matrices
    from cvis.report.matrix_tables import MatrixTables
    from cvis.runs.folder import short_name

    places = [below if (below := Path(top, stream)).is_dir() else Path(top) for top in tops]
    store = load_runs(places)
    of_stream = [run for run in store.runs if run.scenario == stream]
    found = matrices(of_stream, metric, [*map(short_name, learners)], [*map(short_name, segmenters)])
    demand(store, bool(found), places)
    if plot is not None:
        from cvis.report.plots.matrix import matrix_heatmap
        from cvis.report.plots.output import save

        save(matrix_heatmap(found[0], undefined), plot)
    deliver(MatrixTables(found, undefined, store.left_out, store.set_apart), format, out)
    finish(store, strict=False)
