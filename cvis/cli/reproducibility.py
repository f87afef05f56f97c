"""``cvis reproducibility``: which cells are verified, by which commands and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import emit_json, examples
from cvis.cli.tables import Runs, Strict, bring_up_to_date, demand, finish
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis reproducibility runs",
    "cvis reproducibility runs --out REPRODUCIBILITY-tables.md",
    "cvis reproducibility runs --update REPRODUCIBILITY.md",
    "cvis reproducibility runs --update REPRODUCIBILITY.md --check",
)


def reproducibility(
    runs: Runs,
    out: Annotated[Path | None, typer.Option(help="Write the tables to this file.")] = None,
    update: Annotated[
        Path | None,
        typer.Option(
            help="Replace what stands in this file between the lines `<!-- generated: begin cells -->` and "
            "`<!-- generated: end cells -->`; the rest stays."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit code 2 if the file of --out or --update is out of date."),
    ] = False,
    strict: Strict = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Say of every stream and learner whether runs verify it, with numbers, commands and run ids, as Markdown.

    Three finished runs with different seeds under one protocol verify a cell. Numbers that papers printed stand
    beside, marked as such.
    """
    if out is not None and update is not None:
        raise UserError("--out and --update: both given; keep one")
    path = update or out
    if check and path is None:
        raise UserError("--check: of what? give --update FILE or --out FILE too")
    from cvis.engine.command import rebuilt_command
    from cvis.learners.registry import available
    from cvis.report import load_runs
    from cvis.report.region import with_region
    from cvis.report.reproducibility import as_json as plain
    from cvis.report.reproducibility import reproducibility as build
    from cvis.report.reproducibility_text import markdown

    store = load_runs(runs)
    demand(store, bool(store.runs), runs)
    finish(store, strict)
    ours = [info.name for info in available() if info.package == "cvis"]
    cells = build(store.runs, ours, rebuilt_command)
    if as_json:
        emit_json({"schema": 1, **plain(cells)})
    elif path is None:
        typer.echo(markdown(cells), nl=False)
    if path is None:
        return
    if path is update:
        old, new = with_region(path, "cells", markdown(cells))
    else:
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
        new = f"# Verified cells\n\n{markdown(cells)}"
    bring_up_to_date(path, old, new, check)
