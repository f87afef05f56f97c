"""``cvis compare``: the result table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli import names
from cvis.cli.output import examples, status
from cvis.cli.tables import (
    FORMAT_HELP,
    AsJson,
    Out,
    Strict,
    bring_up_to_date,
    choose_format,
    deliver,
    demand,
    finish,
    formats,
)
from cvis.errors import UserError
from cvis.evaluation.measures import COLUMNS, METRICS, STEP_METRICS

EXAMPLES = examples(
    "cvis compare runs",
    "cvis compare runs/synthetic-20-4 --metric mAP --metric FR --baseline finetune",
    "cvis compare runs/synthetic-20-4 --bootstrap --baseline finetune --metric mAP --metric FR",
    "cvis compare runs --with-published --out table.tex",
    "cvis compare --published ytvis2019-20-4 --format md",
    "cvis compare runs --per-step --metric APs --metric APm --metric APl",
    "cvis compare runs --json --strict",
    "cvis compare leaderboard/results --update leaderboard/README.md --check",
)
OTHERS = [name for name in METRICS if name not in COLUMNS]


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders with runs, bundles, or metrics.json files.", metavar="RUNS")
    ] = None,
    format: Annotated[str | None, typer.Option(help=FORMAT_HELP, autocompletion=formats, metavar="FORMAT")] = None,
    out: Out = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Only this metric; may be repeated. Default: {', '.join(COLUMNS)}. Also: {', '.join(OTHERS)}. "
            f"With --per-step: {', '.join(STEP_METRICS)}.",
            autocompletion=lambda: list(METRICS),
            metavar="METRIC",
        ),
    ] = None,
    per_step: Annotated[
        bool, typer.Option("--per-step", help="One column per step of the stream (default: of mAP_all).")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(help="Also the differences to this learner, paired by seed, with a 95 % interval.", metavar="ROW"),
    ] = None,
    bootstrap: Annotated[
        bool,
        typer.Option(
            "--bootstrap",
            help="Also 95 % intervals over test videos: of every number, of its difference to the baseline, and of "
            "each row's place. Seconds a run.",
        ),
    ] = False,
    with_published: Annotated[
        bool, typer.Option("--with-published", help="Also what papers printed for these streams, set apart.")
    ] = False,
    published: Annotated[
        list[str] | None,
        typer.Option(
            help="Also what papers printed for this stream, runs or not; may be repeated.",
            autocompletion=names.scenarios,
            metavar="STREAM",
        ),
    ] = None,
    update: Annotated[
        Path | None,
        typer.Option(
            help="Replace what stands in this Markdown file between the lines `<!-- generated: begin results -->` and "
            "`<!-- generated: end results -->`; the rest stays."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 2 if the file of --update is out of date.")
    ] = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Compare finished runs: mean and deviation over seeds, x100, one table per stream and segmenter.

    Best is bold, second underlined, among rows with one protocol, by the means as printed: equal ones share a rank.
    Rows of one seed, and zeros that several rows share, are not ranked.
    Upper bounds (joint) come last and unranked. Rows under another protocol stand apart, with the keys that differ.
    """
    from cvis.report import comparison, load_runs
    from cvis.report import per_step as along_steps
    from cvis.report.result_tables import ResultTables

    if update is not None and (format or out or as_json):
        raise UserError("--update: writes Markdown into its file; leave out --format, --out and --json")
    if check and update is None:
        raise UserError("--check: of what? give --update FILE too")
    chosen = choose_format(format, out, as_json)
    if not runs and not published:
        raise typer.BadParameter("is missing; give the folder that `cvis run --runs` wrote to", param_hint="RUNS")
    store = load_runs(runs or [])
    if per_step and bootstrap:
        raise typer.BadParameter("is of the last step's table; leave out --per-step", param_hint="--bootstrap")
    if per_step:
        tables = {name: along_steps(store.runs, name) for name in metric or STEP_METRICS[:1]}
    else:
        tables = {"": comparison(store.runs, metric or [])}
    if with_published or published:
        from cvis.report.published import load_published
        from cvis.report.published import with_published as beside

        papers = load_published()
        tables = {name: beside(ours, papers, published or [], metric or [], name) for name, ours in tables.items()}
    groups = [group for groups in tables.values() for group in groups]
    demand(store, bool(groups), runs or [])
    if baseline is not None:
        from cvis.report.baseline import with_baseline

        groups = with_baseline(groups, baseline)
    if bootstrap:
        from cvis.report.over_videos import with_videos

        with status("reading") as tell:
            groups = with_videos(groups, store.runs, tell=tell)
    if update is not None:
        from cvis.report.formats import render
        from cvis.report.region import with_region

        old, new = with_region(update, "results", render(ResultTables(groups), "md"))
        bring_up_to_date(update, old, new, check)
    else:
        deliver(ResultTables(groups, store.left_out, store.set_apart), chosen, out)
    finish(store, strict)
