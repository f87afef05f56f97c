"""``cvis learners``: which methods can be named after ``--learner``, what can be set, and how to begin one."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvis.cli import names
from cvis.cli.new import ListsByDefault, write_package
from cvis.cli.output import Cell, broken, emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.learners.registry import LearnerInfo

app = typer.Typer(
    cls=ListsByDefault,
    rich_markup_mode=None,
    help="List learners, describe one, begin one of your own.",
    epilog=examples("cvis learners", "cvis learners crisp", "cvis learners new my_method"),
)

LIST = examples(
    "cvis learners",
    "cvis learners crisp --segmenter mask2former_tiny",
    "cvis learners my_method.py:MyMethod",
    "cvis learners list --json",
)
NEW = examples("cvis learners new my_method", "cvis learners new my_method --out ~/code/my_method")


@app.command("list", epilog=LIST)
def list_(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Only this one, with all its settings: a name, or path/to/file.py:Class.",
            autocompletion=names.or_files(names.learners, ".py"),
        ),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            help="Also the values that it has with this segmenter, whose files may change defaults.",
            autocompletion=names.or_files(names.segmenters, ".py"),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List learners, or describe one.

    Also those of other packages; of one, what it is and what can be set. A plugin that does not load is listed with
    its reason. The word `list` can be left out.
    """
    if segmenter is not None and name is None:
        raise UserError(
            f"--segmenter {segmenter}: without a learner; give its name too: cvis learners NAME --segmenter"
        )
    names.refuse_unknown("learner", name, names.learners)
    names.refuse_unknown("segmenter", segmenter, names.segmenters)
    from cvis.learners import available
    from cvis.learners.registry import describe_learner

    found = available() if name is None else [describe_learner(name)]
    values = _values(name, segmenter) if name and segmenter else {}
    if as_json:
        with_values = {"segmenter": segmenter, "values": values} if segmenter else {}
        emit_json({**asdict(found[0]), **with_values} if name else [asdict(info) for info in found])
        return
    if name is not None:
        _show(found[0], segmenter, values)
        return
    rows: list[list[str | Cell]] = []
    for info in found:
        settings = ", ".join(f"{key}={default}" for key, default in info.parameters.items())
        says = broken(info.error) if info.error else info.doc
        rows.append([info.name, f"{info.package} {info.version}", ", ".join(info.requires), says, settings])
    show_table(["learner", "package", "needs", "", "settings"], rows, left=5)
    typer.echo("\n`cvis learners NAME` says all of one: what it is, what it needs, and what can be set.")


@app.command("new", epilog=NEW)
def new(
    name: Annotated[str, typer.Argument(help="Of the learner and of its module: lower-case letters, digits, _.")],
    out: Annotated[Path | None, typer.Option(help="The folder to make. Default: the name, here.")] = None,
) -> None:
    """Write a package with a learner of your own.

    It is complete as it stands: the entry point in pyproject.toml, a class, a test by the conformance kit, a README.
    """
    from cvis.learners import LEARNERS

    folder = write_package(LEARNERS, name, out)
    typer.echo(f"{folder}\npip install -e {folder}\npytest {folder}\ncvis run synthetic-20-4 --learner {name}")


def _values(name: str, segmenter: str) -> dict[str, dict[str, Any]]:
    """The settings of a learner with a segmenter, each with the file that says so."""
    from cvis.engine.resolve import gather

    values, sources = gather("synthetic-20-4", name, segmenter)  # of the stream nothing is asked
    origin = {key.split(".")[1]: source for key, source in sources.items() if key.startswith("learner.")}
    settings = {key: value for key, value in values["learner"].items() if key != "type"}
    return {key: {"value": value, "from": origin.get(key, "default")} for key, value in settings.items()}


def _show(info: LearnerInfo, segmenter: str | None, values: dict[str, dict[str, Any]]) -> None:
    from cvis.learners import find_learner

    package = f", {info.package} {info.version}" if info.version else ""  # a file has none
    typer.echo(f"{info.name}{package}\n")
    typer.echo(inspect.getdoc(find_learner(info.name)) or "It says nothing of itself.")
    typer.echo(f"\nNeeds of the segmenter: {', '.join(info.requires) or 'nothing'}.")
    if info.parameters:
        rows: list[list[str | Cell]] = [[f"learner.{key}", default] for key, default in info.parameters.items()]
        typer.echo()
        if segmenter:
            there = [[f"learner.{key}", repr(now["value"]), now["from"]] for key, now in values.items()]
            show_table(["--set", "value", "from"], there, left=3)
        else:
            show_table(["--set", "default"], rows, left=2)
            hint = f"cvis learners {info.name} --segmenter NAME"
            typer.echo(f"\nFiles of a segmenter and its schedule may change a default: {hint}")
