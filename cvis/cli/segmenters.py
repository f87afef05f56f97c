"""``cvis segmenters``: which models can be named after ``--segmenter``, and how to begin one."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvis.cli import names
from cvis.cli.new import ListsByDefault, write_package
from cvis.cli.output import Cell, broken, emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.segmenters import Segmenter

app = typer.Typer(
    cls=ListsByDefault,
    rich_markup_mode=None,
    help="List segmenters, describe one, begin one of your own.",
    epilog=examples("cvis segmenters", "cvis segmenters mask2former_tiny", "cvis segmenters new my_model"),
)

LIST = examples(
    "cvis segmenters",
    "cvis segmenters mask2former_tiny",
    "cvis segmenters my_model.py:MyModel",
    "cvis segmenters list --json",
)
NEW = examples("cvis segmenters new my_model", "cvis segmenters new my_model --out ~/code/my_model")


@app.command("list", epilog=LIST)
def list_(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Only this one, with all its settings: a name, or path/to/file.py:Class.",
            autocompletion=names.or_files(names.segmenters, ".py"),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List segmenters, or describe one.

    Of one: what it offers to learners, how many weights it has, and its parameters with their values. Our own are
    configurations of a type; types of installed packages are built with their defaults. One that does not load is
    listed with its reason. The word `list` can be left out.
    """
    if name is not None:
        described = _one(name)
        emit_json(described) if as_json else _show(described)
        return
    listed = _all()
    if as_json:
        emit_json(listed)
        return
    rows: list[list[str | Cell]] = [
        [each["name"], f"{each['package']} {each['version']}", broken(each["error"]) if each["error"] else each["says"]]
        for each in listed
    ]
    show_table(["segmenter", "package", ""], rows, left=3)
    typer.echo("\n`cvis segmenters NAME` says all of one: what it is, what it offers, and what can be set.")


@app.command("new", epilog=NEW)
def new(
    name: Annotated[str, typer.Argument(help="Of the segmenter and of its module: lower-case letters, digits, _.")],
    out: Annotated[Path | None, typer.Option(help="The folder to make. Default: the name, here.")] = None,
) -> None:
    """Write a package with a segmenter of your own.

    It is complete as it stands: the entry point in pyproject.toml, a class, a test by the conformance kit, a README.
    """
    from cvis.segmenters import SEGMENTERS

    folder = write_package(SEGMENTERS, name, out)
    run = f"cvis run synthetic-20-4 --learner finetune --segmenter {name} --schedule tiny"
    typer.echo(f"{folder}\npip install -e {folder}\npytest {folder}\n{run}")


def _all() -> list[dict[str, Any]]:
    from cvis.segmenters import SEGMENTERS

    configured = [_described(name, path) for name, path in _files().items()]
    types = {segmenter["type"] for segmenter in configured}
    others = [_described(name) for name in SEGMENTERS.names() if name not in types]
    empty: dict[str, Any] = {"type": None, "doc": "", "says": "", "capabilities": [], "learners": [], "parameters": {}}
    return [*configured, *others, *({**empty, **asdict(origin)} for origin in SEGMENTERS.broken())]


def _one(name: str) -> dict[str, Any]:
    from cvis.segmenters import SEGMENTERS

    file = _files().get(name)
    if file is None:
        SEGMENTERS.find(name)  # says what is wrong with a name
    described = _described(name, file)
    if described["error"]:
        raise UserError(f"segmenter: {name}: {described['error']}")
    return {**described, "weights": _count_weights(name)}


def _count_weights(name: str) -> int | None:
    """Of the model without class heads; None of a type that cannot be built with its defaults."""
    from cvis.engine.resolve import read_files
    from cvis.segmenters import build_segmenter

    try:
        model = build_segmenter(read_files("synthetic-20-4", "finetune", name)[0]["segmenter"])
    except UserError:
        return None
    return sum(parameter.numel() for parameter in model.parameters())


def _show(described: dict[str, Any]) -> None:
    from cvis.segmenters import SEGMENTERS

    package = f", {described['package']} {described['version']}" if described["version"] else ""
    typer.echo(f"{described['name']}{package}\n")
    typer.echo(inspect.getdoc(SEGMENTERS.find(described["type"])) or "It says nothing of itself.")
    typer.echo(f"\nOffers to learners: {', '.join(described['capabilities']) or 'nothing beside the core'}.")
    typer.echo(f"Takes the learners: {', '.join(described['learners'])}.")
    if described["weights"] is not None:
        typer.echo(f"Weights: {described['weights'] / 1e6:.2f} million, before it has classes.")
    if described["parameters"]:
        rows: list[list[str | Cell]] = [
            [f"segmenter.{key}", str(value)] for key, value in described["parameters"].items()
        ]
        typer.echo()
        show_table(["--set", "value"], rows, left=2)


def _files() -> dict[str, Path]:
    from cvis.files import shipped

    return {path.stem: path for path in sorted((shipped("configs") / "segmenters").glob("*.py"))}


def _described(name: str, path: Path | None = None) -> dict[str, Any]:
    """A type with its defaults, or with those of a configuration file; a broken one with its reason."""
    from mmengine.config import Config

    from cvis.plugins import first_line
    from cvis.segmenters import SEGMENTERS
    from cvis.segmenters.abilities import abilities_of

    origin = SEGMENTERS.origin(name)
    described: dict[str, Any] = {"name": name, "package": origin.package, "version": origin.version, "type": None}
    described.update(doc="", says="", capabilities=[], learners=[], parameters={}, error=None)
    try:
        settings = dict(Config.fromfile(str(path)).to_dict()["segmenter"]) if path else {"type": name}
        kind = SEGMENTERS.find(settings["type"])
        described.update(type=settings.pop("type"), doc=first_line(kind), capabilities=abilities_of(kind))
        described["says"] = (_first_comment(path) if path else "") or described["doc"]
        described["learners"] = _learners(kind)
        signature = inspect.signature(kind).parameters.values()
        defaults = {p.name: p.default for p in signature if p.default is not inspect.Parameter.empty}
        described["parameters"] = json.loads(json.dumps({**defaults, **settings}, default=str))  # in JSON's own types
    except Exception as error:  # one broken file must not hide the others
        described["error"] = f"{type(error).__name__}: {error}"
    return described


def _first_comment(path: Path) -> str:
    """What a configuration file says of itself: several share a type, and with it a docstring."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _learners(kind: type[Segmenter]) -> list[str]:
    """Those that find all that they need, and which of them have a reading of their own with this model."""
    from cvis.learners import LEARNERS
    from cvis.learners.registry import lacking

    fitting = [name for name in LEARNERS.names() if not lacking(name, kind)]
    return [f"{name} (variant)" if name in kind.variants else name for name in fitting]
