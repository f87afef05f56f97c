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
    "cvis verify downloaded.zip --data /data/ytvis2019",
    "cvis verify leaderboard/results/*.zip --strict",
)


def verify(
    runs: Runs,
    data: Annotated[Path | None, typer.Option(help="The folder of the data set, if it has moved.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="What is unfinished, or cannot be scored again, is an error too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check finished runs: derive stream and split again, score the predictions again, compare every number exactly.

    Says what could not be checked. Exit code 1 if anything differs.
    """
    from cvis.runs.find import LeftOut, candidates
    from cvis.runs.verify import Verdict
    from cvis.runs.verify import verify as check

    found = list(candidates(runs))
    damaged = [Verdict(bundle.path, differences=[str(bundle)]) for bundle in found if isinstance(bundle, LeftOut)]
    paths = [path for path in found if isinstance(path, Path)]
    unfinished = [path for path in paths if path.is_dir()]
    verdicts = [*damaged, *(check(path.parent, data) for path in paths if path not in unfinished)]
    if not verdicts:
        raise UserError(f"{runs[0]}: no finished run found; a run is finished when its folder has a metrics.json")
    if as_json:
        content = [
            {
                "path": str(verdict.path),
                "verified": not verdict.differences,
                "scored": verdict.scored,
                "agrees": verdict.agrees,
                "differences": verdict.differences,
                "not_checked": verdict.not_checked,
            }
            for verdict in verdicts
        ]
        emit_json({"schema": 1, "runs": content, "unfinished": list(map(str, unfinished))})
    else:
        for verdict in verdicts:
            typer.echo(f"{verdict.path}: {verdict.word}")
            lines = {"agrees": verdict.agrees, "differs": verdict.differences, "not checked": verdict.not_checked}
            for kind, parts in lines.items():
                for part in parts:
                    typer.echo(f"  {kind}: {part}")
        for path in unfinished:
            typer.echo(f"{path}: not checked: is unfinished", err=True)
    doubtful = unfinished or not all(verdict.scored for verdict in verdicts)
    if any(verdict.differences for verdict in verdicts) or (strict and doubtful):
        raise typer.Exit(1)
