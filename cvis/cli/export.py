"""``cvis export``: predictions for the servers of the data sets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import emit_json, examples
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis export runs/ytvis2019-20-4/mask2former_r50/crisp/seed0 --submission",
    "cvis export runs/ovis-15-5/mask2former_r50/crisp/seed0 --submission --step 1 --out ovis-step1.zip",
    "cvis export runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --results --out finetune.json",
)


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, or its bundle.")],
    submission: Annotated[
        bool, typer.Option("--submission", help="A zip file with results.json, as the servers take it.")
    ] = False,
    results: Annotated[bool, typer.Option("--results", help="The same list as plain JSON.")] = False,
    step: Annotated[int | None, typer.Option(help="The step whose predictions to take. Default: the last.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .zip file, with --results .json or .json.gz. Default: named after the run, in this folder."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the predictions of a run as the YouTube-VIS and OVIS servers take them, in the data set's own ids.

    A server knows the official validation videos only: train with --set protocol.split=official-valid.
    """
    from cvis.report.submission import export as write

    if submission == results:
        raise UserError("export what? give --submission for the servers' zip file, or --results for plain JSON")
    done = write(run, step, out, "submission" if submission else "results")
    if done.warning:
        typer.echo(f"warning: {done.warning}", err=True)
    if as_json:
        emit_json({"schema": 1, **asdict(done), "path": str(done.path)})
    else:
        typer.echo(done.path)
