"""``cvis reproducibility``: which cells are verified, by which commands and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cvis.cli.output import emit_json, examples
from cvis.cli.tables import demand, finish
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis reproducibility runs",
    "cvis reproducibility runs --out REPRODUCIBILITY-tables.md",
    "cvis reproducibility runs --update REPRODUCIBILITY.md",
    "cvis reproducibility runs --update REPRODUCIBILITY.md --check",
)
REGION = "cells"


def reproducibility(
    runs: Annotated[list[Path], typer.Argument(help="Folders with runs, or metrics.json files.")],
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
    strict: Annotated[
        bool,
        typer.Option("--strict", help="A run that is left out, or claims another's cell, is an error (exit code 2)."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Say of every stream and learner whether runs verify it, with numbers, commands and run ids, as Markdown.

    Three finished runs with different seeds under one protocol verify a cell. Numbers that papers printed stand
    beside, marked as such.
    """
    if out is not None and update is not None:
        raise UserError("--out and --update: both given; keep one")
    if check and out is None and update is None:
        raise UserError("--check: of what? give --update FILE or --out FILE too")
    from cvis.learners.registry import available
    from cvis.report import load_runs
    from cvis.report.reproducibility import as_json as plain
    from cvis.report.reproducibility import reproducibility as build
    from cvis.report.reproducibility_text import markdown

    store = load_runs(runs)
    demand(store, bool(store.runs), runs)
    finish(store, strict)
    ours = [info.name for info in available() if info.package == "cvis"]
    cells = build(store.runs, ours, _rebuild)
    if as_json:
        emit_json({"schema": 1, **plain(cells)})
    elif out is None and update is None:
        typer.echo(markdown(cells), nl=False)
    if out is not None or update is not None:
        _deliver(markdown(cells), out, update, check)


def _deliver(text: str, out: Path | None, update: Path | None, check: bool) -> None:
    from cvis.atomic import write_text
    from cvis.report.region import with_region

    if update is not None:
        path = update
        old, new = with_region(path, REGION, text)
    else:
        assert out is not None
        path, new = out, f"# Verified cells\n\n{text}"
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
    if old == new:
        return
    if check:
        raise UserError(f"{path}: generated tables: are out of date; run the same command without --check")
    write_text(path, new)


def _rebuild(record: Mapping[str, Any], seeds: Sequence[int]) -> str | None:
    from cvis.engine.command import rebuilt_command

    return rebuilt_command(record, seeds)
