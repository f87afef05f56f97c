"""``cvis bundle``: finished runs as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import examples
from cvis.cli.tables import Runs, demand
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis bundle runs/synthetic-20-4/mask2former_tiny/finetune --out finetune.zip",
    "cvis bundle runs --out all.zip",
)


def bundle(runs: Runs, out: Annotated[Path, typer.Option(help="The .zip file to write.")]) -> None:
    """Put finished runs into one file to send: records, metrics, digests and predictions, and no weights.

    Nothing in it says where files were on this machine. `compare`, `verify`, `report` and all else that reads runs
    takes it as it takes their folders.
    """
    from cvis.report import load_runs
    from cvis.runs.bundle import write_bundle

    store = load_runs(runs)
    if store.left_out:
        raise UserError(f"{store.left_out[0]}; nothing was written")
    demand(store, bool(store.runs), runs)
    write_bundle(store.runs, out)
    typer.echo(out)
