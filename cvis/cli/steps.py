"""``cvis steps``: what happens along the stream, in numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli.output import Cell, examples, show_table
from cvis.cli.tables import choose_format, deliver, demand, finish, formats, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cvis.report import Store
    from cvis.report.class_table import ClassTable

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
            help="This metric at every step; may be repeated. Default: APs, APm and APl, the AP of small, medium and "
            "large objects; with --per-class AP."
        ),
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="A table per learner: every class after every step, and its forgetting.")
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(
            help="terminal, md, latex, csv, json or html (with --per-class not latex and html). Default: by the name "
            "of --out, else terminal.",
            autocompletion=formats,
        ),
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
    if per_class:
        from cvis.report.class_table import check_format

        check_format(chosen)
    store = load_runs(runs)
    demand(store, bool(store.runs), runs)
    if per_class:
        _classes(store, metric or ["AP"], chosen, out)
    else:
        _metrics(store, metric or [], chosen, out)
    finish(store, strict)


def _metrics(store: Store, metrics: Sequence[str], format: str, out: Path | None) -> None:
    from cvis.report import per_step
    from cvis.report.formats import render
    from cvis.report.views import SIZES, along_steps

    if format in ("csv", "json"):
        groups = [group for metric in metrics or SIZES for group in per_step(store.runs, metric)]
    else:
        groups = along_steps(store.runs, metrics or SIZES)
    if format == "terminal" and out is None and sys.stdout.isatty():
        show(groups)
    else:
        deliver(render(groups, format, left_out=store.left_out, set_apart=store.set_apart), out)


def _classes(store: Store, metrics: Sequence[str], format: str, out: Path | None) -> None:
    from cvis.report import class_table

    tables = [table for metric in metrics for table in class_table.class_tables(store.runs, metric)]
    if format == "terminal" and out is None and sys.stdout.isatty():
        _show_classes(tables, class_table.LEGEND)
    else:
        deliver(class_table.render(tables, format, store.left_out), out)


def _show_classes(tables: Sequence[ClassTable], legend: str) -> None:
    for table in tables:
        rows: list[list[Cell]] = [list(row) for row in table.rows]
        show_table(table.headings, rows, title=table.title)
        if table.note:
            typer.echo(table.note)
        typer.echo()
    typer.echo(legend)
