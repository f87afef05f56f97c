"""``cvis segmenters``: which models can be named after ``--segmenter``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cvis.cli.output import Cell, emit_json, examples, show_table

EXAMPLES = examples("cvis segmenters", "cvis segmenters --json")


def segmenters(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List segmenters: name, package, what they offer to learners, parameters with their values."""
    from cvis.files import shipped

    found = [_describe(path) for path in sorted((shipped("configs") / "segmenters").glob("*.py"))]
    if as_json:
        emit_json(found)
        return
    rows: list[list[str | Cell]] = []
    for info in found:
        parameters = ", ".join(f"{key}={value}" for key, value in info["parameters"].items())
        says: str | Cell = Cell(f"broken: {info['error']}", style="red") if info["error"] else parameters
        package = f"{info['package']} {info['version']}"
        rows.append([info["name"], info["type"] or "-", package, ", ".join(info["capabilities"]), says])
    show_table(["segmenter", "type", "package", "offers", "parameters"], rows, left=5)


def _describe(path: Path) -> dict[str, Any]:
    """A shipped configuration file, laid over the defaults of the class it names; a broken one with its reason."""
    from cvis import __version__

    info: dict[str, Any] = {"name": path.stem, "package": "cvis", "version": __version__, "type": None}
    info.update(capabilities=[], parameters={}, error=None)
    try:
        info.update(_read(path))
    except Exception as error:  # one broken file must not hide the others
        info["error"] = f"{type(error).__name__}: {error}"
    return info


def _read(path: Path) -> dict[str, Any]:
    import inspect

    from mmengine.config import Config

    from cvis.segmenters.contract import abilities_of
    from cvis.segmenters.registry import SEGMENTERS

    settings = dict(Config.fromfile(str(path)).to_dict()["segmenter"])
    name = settings.pop("type")
    kind: Any = SEGMENTERS.find(name)
    signature = inspect.signature(kind).parameters.values()
    defaults = {p.name: p.default for p in signature if p.default is not inspect.Parameter.empty}
    values = json.loads(json.dumps({**defaults, **settings}, default=str))  # in JSON's own types
    return {"type": name, "capabilities": abilities_of(kind), "parameters": values}
