"""``cvis steps``: what happens along the stream, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli.output import examples
from cvis.cli.tables import FORMAT_HELP, choose_format, deliver, demand, finish, formats
from cvis.evaluation.measures import CLASS_METRICS, SIZES, STEP_METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cvis.report import Store
    from cvis.report.value import Document

EXAMPLES = examples(
    "cvis steps runs",
    "cvis steps runs --metric mAP_all --metric AR1 --out steps.md",
    "cvis steps runs/synthetic-20-4 --per-class",
    "cvis steps runs --per-class --metric AR1 --format csv --out classes.csv",
)


def steps(
    runs: Annotated[list[Path], typer.Argument(help="Folders with runs, or metrics.json files.")],
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
    format: Annotated[
        str | None,
        typer.Option(help=FORMAT_HELP, autocompletion=formats),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="A run that is left out, or claims another's cell, is an error (exit code 2)."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json: unrounded.")] = False,
) -> None:
    """Follow finished runs along their stream: several metrics at every step, or every single class.

    A row per learner, mean and deviation over seeds, x100. In CSV and JSON each metric and step has numbers of its own.
    """
    from cvis.report import load_runs

    chosen = choose_format(format, out, as_json)
    store = load_runs(runs)
    demand(store, bool(store.runs), runs)
    deliver(_classes(store, metric or ["AP"]) if per_class else _metrics(store, metric or []), chosen, out)
    finish(store, strict)


def _metrics(store: Store, metrics: Sequence[str]) -> Document:
    from cvis.report import per_step
    from cvis.report.result_tables import ResultTables
    from cvis.report.views import beside

    tables = {metric: per_step(store.runs, metric) for metric in metrics or SIZES}
    groups = [group for groups in tables.values() for group in groups]
    return ResultTables(groups, store.left_out, store.set_apart, beside(tables))


def _classes(store: Store, metrics: Sequence[str]) -> Document:
    from cvis.report.class_tables import ClassTables, class_tables

    return ClassTables([table for metric in metrics for table in class_tables(store.runs, metric)], store.left_out)
