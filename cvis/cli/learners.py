"""``cvis learners``: which methods can be named after ``--learner``, and what can be set."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli.output import Cell, emit_json, examples, show_table

if TYPE_CHECKING:
    from cvis.learners.registry import LearnerInfo

EXAMPLES = examples(
    "cvis learners",
    "cvis learners crisp",
    "cvis learners my_method.py:MyMethod",
    "cvis learners --json",
)


def learners(
    name: Annotated[
        str | None, typer.Argument(help="Only this one, with all its settings: a name, or path/to/file.py:Class.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List learners, also those of other packages; or say what one of them is and what can be set.

    A plugin that does not load is listed with its reason.
    """
    from cvis.learners import available

    if name is not None:
        _one(name, as_json)
        return
    found = available()
    if as_json:
        emit_json([asdict(info) for info in found])
    else:
        _list(found)


def _list(found: list[LearnerInfo]) -> None:
    rows: list[list[str | Cell]] = []
    for info in found:
        says: str | Cell = Cell(f"broken: {info.error}", style="red") if info.error else info.doc
        rows.append([info.name, f"{info.package} {info.version}", says])
    show_table(["learner", "package", ""], rows, left=3)
    typer.echo("\n`cvis learners NAME` says what one is, what it needs, and what can be set.")


def _one(name: str, as_json: bool) -> None:
    from cvis.learners.registry import describe_learner, find_learner

    info = describe_learner(name)
    if as_json:
        emit_json(asdict(info))
        return
    typer.echo(inspect.getdoc(find_learner(name)) or "It says nothing of itself.")
    typer.echo(f"\nNeeds of the segmenter: {', '.join(info.requires) or 'nothing'}.")
    if info.parameters:
        rows: list[list[str | Cell]] = [[f"learner.{key}", default] for key, default in info.parameters.items()]
        typer.echo()
        show_table(["--set", "default"], rows, left=2)
        typer.echo("\nConfig files of learner, segmenter, schedule and preset may change a default: see --dry-run.")
