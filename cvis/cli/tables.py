"""What the commands share that read finished runs: their options, which format and where to, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli.output import fitted, has_width, show
from cvis.errors import UserError, did_you_mean, printable
from cvis.report.formats import FORMATS, SUFFIXES, render
from cvis.report.value import Document, all_notes

if TYPE_CHECKING:
    from cvis.runs.find import Store

Runs = Annotated[list[Path], typer.Argument(help="Folders with runs, bundles, or metrics.json files.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="A run that is left out, or claims another's cell, is an error (exit code 2).")
]
FORMAT_HELP = f"{', '.join(FORMATS)}. Default: by the name of --out, else terminal."
Out = Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --format json: unrounded.")]


def formats() -> list[str]:
    """For shell completion."""
    return list(FORMATS)


def choose_format(asked: str | None, out: Path | None, as_json: bool) -> str:
    """What to write, found out before the work is done."""
    if out is not None and out.is_dir():
        raise UserError(f"--out {out}: is a folder; give the name of a file")
    if asked is not None and asked not in FORMATS:
        raise UserError(f"--format {asked}: no such format; {did_you_mean(asked, FORMATS)}")
    if as_json and asked not in (None, "json"):
        raise UserError(f"--format {asked}: --json asks for another one; give one of the two")
    if as_json or asked:
        return asked or "json"
    return SUFFIXES.get(out.suffix.lower(), "terminal") if out is not None else "terminal"


def deliver(document: Document, format: str, out: Path | None) -> None:
    """Write the document to a file, or print it: on a terminal with bold, rules and as much as fits."""
    if out is not None:
        from cvis.atomic import write_text

        write_text(out, render(document, format))
    elif format == "terminal" and has_width():
        _show(document)
    else:
        typer.echo(render(document, format), nl=False)


def _show(document: Document) -> None:
    sections = document.sections()
    for section in sections:
        for table in section.tables:
            show(table, "\n".join(filter(None, [section.title, table.title])))
            typer.echo("".join(f"{fitted(note)}\n" for note in table.notes))
    for note in all_notes(sections):
        typer.echo(fitted(note))


def bring_up_to_date(path: Path, old: str, new: str, check: bool) -> None:
    """Write what a page should say; or, with ``check``, only find out whether it does.

    Raises:
        UserError: ``check``, and it does not.
    """
    if old != new and check:
        raise UserError(f"{path}: generated tables: are out of date; run the same command without --check")
    if old != new:
        from cvis.atomic import write_text

        write_text(path, new)


def demand(store: Store, found: bool, runs: Sequence[Path]) -> None:
    """Before anything is written: a table without a row must not replace a good one.

    Raises:
        UserError: there is no run at all.
    """
    if not found:
        where = f"{runs[0]}: " if runs else ""
        reason = f", the first left out: {store.left_out[0]}" if store.left_out else ""
        raise UserError(f"{where}no finished run found{reason}; a run is finished when its folder has a metrics.json")


def finish(store: Store, strict: bool) -> None:
    """Name the runs that are no rows.

    Raises:
        UserError: with ``strict``, if there is one.
    """
    for what, items in (
        ("left out", store.left_out),
        ("set apart", store.set_apart),
        ("no record", store.unrecorded),
    ):
        for item in items:
            typer.echo(printable(f"{what}: {item}"), err=True)
    for what, items in (("left out", store.left_out), ("set apart", store.set_apart)):
        if strict and items:
            raise UserError(f"{len(items)} runs were {what}, the first: {items[0]}")
