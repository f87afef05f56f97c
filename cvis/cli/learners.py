"""``cvis learners``: which methods can be named after ``--learner``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cvis.cli.output import Cell, Styled, emit_json, examples, show_table

EXAMPLES = examples("cvis learners", "cvis learners --json")


def learners(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List learners, also those of other packages: name, package, parameters with defaults.

    A plugin that does not load is listed with its reason.
    """
    from cvis.learners import available

    found = available()
    if as_json:
        emit_json([asdict(info) for info in found])
        return
    rows: list[list[Cell]] = []
    for info in found:
        parameters = ", ".join(f"{name}={default}" for name, default in info.parameters.items())
        says: Cell = Styled(f"broken: {info.error}", "red") if info.error else info.doc
        needs = ", ".join(info.requires)
        rows.append([info.name, f"{info.package} {info.version}", parameters or "-", needs or "-", says])
    show_table(["learner", "package", "parameters", "needs", ""], rows, left=5)
