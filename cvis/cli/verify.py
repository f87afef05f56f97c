"""``cvis verify``: are the numbers of a run those of its predictions?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import emit_json, examples
from cvis.cli.tables import Runs
from cvis.errors import UserError

EXAMPLES = examples(
    "cvis verify runs/synthetic-20-4/mask2former_tiny/finetune/seed0",
    "cvis verify runs --json",
    "cvis verify downloaded/seed0 --data /data/ytvis2019",
)


def verify(
    runs: Runs,
    data: Annotated[Path | None, typer.Option(help="The folder of the data set, if it has moved.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check finished runs: derive stream and split again, score the predictions again, compare every number exactly.

    Says what could not be checked. Exit code 1 if anything differs.
    """
    from cvis.runs.find import candidates
    from cvis.runs.verify import verify as check

    found = list(candidates(runs))
    finished = [path.parent for path in found if not path.is_dir()]
    unfinished = [path for path in found if path.is_dir()]
    if not finished:
        raise UserError(f"{runs[0]}: no finished run found; a run is finished when its folder has a metrics.json")
    verdicts = [check(path, data) for path in finished]
    if as_json:
        content = [
            {
                "path": str(verdict.path),
                "verified": not verdict.differences,
                "agrees": verdict.agrees,
                "differences": verdict.differences,
                "not_checked": verdict.not_checked,
            }
            for verdict in verdicts
        ]
        emit_json({"schema": 1, "runs": content, "unfinished": list(map(str, unfinished))})
    else:
        for verdict in verdicts:
            typer.echo(f"{verdict.path}: {'DIFFERS' if verdict.differences else 'verified'}")
            lines = {"agrees": verdict.agrees, "differs": verdict.differences, "not checked": verdict.not_checked}
            for kind, parts in lines.items():
                for part in parts:
                    typer.echo(f"  {kind}: {part}")
        for path in unfinished:
            typer.echo(f"{path}: not checked: is unfinished", err=True)
    if any(verdict.differences for verdict in verdicts):
        raise typer.Exit(1)
