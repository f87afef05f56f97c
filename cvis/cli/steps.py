"""``cvis steps``: what happens along the stream, in numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from cvis.cli.output import examples
from cvis.cli.tables import FORMAT_HELP, AsJson, Out, Runs, Strict, choose_format, deliver, demand, finish, formats
from cvis.evaluation.measures import CLASS_METRICS, SIZES, STEP_METRICS

EXAMPLES = examples(
    "cvis steps runs",
    "cvis steps runs --metric mAP_all --metric AR1 --out steps.md",
    "cvis steps runs/synthetic-20-4 --per-class",
    "cvis steps runs --per-class --metric AR1 --format csv --out classes.csv",
)


def steps(
    runs: Runs,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=f"This metric at every step; may be repeated: {', '.join(STEP_METRICS)}; default: {', '.join(SIZES)}. "
            f"With --per-class: {', '.join(CLASS_METRICS)}; default: AP.",
            autocompletion=lambda: list(STEP_METRICS),
        ),
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="A table per learner: every class after every step, and its forgetting.")
    ] = False,
    format: Annotated[str | None, typer.Option(help=FORMAT_HELP, autocompletion=formats)] = None,
    out: Out = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Follow finished runs along their stream: several metrics at every step, or every single class.

    A row per learner, mean and deviation over seeds, x100. In CSV and JSON each metric and step has numbers of its own.
    """
    from cvis.report import load_runs, per_step
    from cvis.report.class_tables import ClassTables, class_tables
    from cvis.report.result_tables import ResultTables
    from cvis.report.value import Document
    from cvis.report.views import beside

    chosen = choose_format(format, out, as_json)
    store = load_runs(runs)
    demand(store, bool(store.runs), runs)
    document: Document
    if per_class:
        matrices = [table for name in metric or ["AP"] for table in class_tables(store.runs, name)]
        document = ClassTables(matrices, store.left_out)
    else:
        tables = {name: per_step(store.runs, name) for name in metric or SIZES}
        groups = [group for groups in tables.values() for group in groups]
        document = ResultTables(groups, store.left_out, store.set_apart, beside(tables))
    deliver(document, chosen, out)
    finish(store, strict)
