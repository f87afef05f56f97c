"""``cvis segmenters``: which models can be named after ``--segmenter``."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cvis.cli.output import Cell, emit_json, examples, show_table

EXAMPLES = examples("cvis segmenters", "cvis segmenters --json")


def segmenters(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List segmenters: name, package, what they offer to learners, parameters with their values.

    Our own are configurations of a type; types of installed packages are built with their defaults.
    """
    from cvis.files import shipped
    from cvis.segmenters import SEGMENTERS

    configured = [_described(path.stem, path) for path in sorted((shipped("configs") / "segmenters").glob("*.py"))]
    types = {segmenter["type"] for segmenter in configured}
    listed = [*configured, *(_described(name) for name in SEGMENTERS.names() if name not in types)]
    listed += [_described(origin.name) | {"error": origin.error} for origin in SEGMENTERS.broken()]
    if as_json:
        emit_json(listed)
        return
    rows: list[list[str | Cell]] = []
    for segmenter in listed:
        parameters = ", ".join(f"{key}={value}" for key, value in segmenter["parameters"].items())
        error = segmenter["error"]
        says: str | Cell = Cell(f"broken: {error}", style="red") if error else parameters
        package = f"{segmenter['package']} {segmenter['version']}"
        offers = ", ".join(segmenter["capabilities"])
        rows.append([segmenter["name"], segmenter["type"] or "-", package, offers, says])
    show_table(["segmenter", "type", "package", "offers", "parameters"], rows, left=5)


def _described(name: str, path: Path | None = None) -> dict[str, Any]:
    """A type with its defaults, or with those of a configuration file; a broken one with its reason."""
    from mmengine.config import Config

    from cvis.segmenters import SEGMENTERS
    from cvis.segmenters.contract import abilities_of

    origin = SEGMENTERS.origin(name)
    described: dict[str, Any] = {"name": name, "package": origin.package, "version": origin.version, "type": None}
    described.update(capabilities=[], parameters={}, error=None)
    try:
        settings = dict(Config.fromfile(str(path)).to_dict()["segmenter"]) if path else {"type": name}
        kind = SEGMENTERS.find(settings["type"])
        described.update(type=settings.pop("type"), capabilities=abilities_of(kind))
        signature = inspect.signature(kind).parameters.values()
        defaults = {p.name: p.default for p in signature if p.default is not inspect.Parameter.empty}
        described["parameters"] = json.loads(json.dumps({**defaults, **settings}, default=str))  # in JSON's own types
    except Exception as error:  # one broken file must not hide the others
        described["error"] = f"{type(error).__name__}: {error}"
    return described
