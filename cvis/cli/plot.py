"""``cvis plot``: figures of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import emit_json, examples
from cvis.cli.tables import demand, finish

EXAMPLES = examples(
    "cvis plot runs",
    "cvis plot runs/synthetic-20-4 --kind curves --metric mAP_old --metric mAP_new --out curves.pdf",
    "cvis plot runs --kind tradeoff --metric FR --out figures --format png",
    "cvis plot runs/synthetic-20-4/mask2former_tiny/finetune --kind heatmap --out finetune.svg",
)


def _kinds() -> list[str]:
    return ["all", "curves", "heatmap", "tradeoff", "cost", "queries"]


def _formats() -> list[str]:
    return ["svg", "pdf", "png"]


def plot(
    runs: Annotated[list[Path], typer.Argument(help="Folders with runs, or metrics.json files.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="curves, heatmap, tradeoff, cost, queries or all; may be repeated. Default: all.",
            autocompletion=_kinds,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="A folder; or, for a single figure, a file that ends in .svg, .pdf or .png.")
    ] = Path("plots"),
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Of curves, heatmap and tradeoff: this metric; may be repeated. Default: mAP and AR1, AP, mAP_base."
        ),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="In a folder: svg, pdf or png; may be repeated. Default: svg and pdf.", autocompletion=_formats
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="A run that is left out, or claims another's cell, is an error (exit code 2)."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the names of the files as JSON.")] = False,
) -> None:
    """Draw finished runs: mean over seeds, with their standard deviation as band or bar.

    \b
    curves    metrics along the steps of the stream
    heatmap   the AP of every class after every step, and what was forgotten of it
    tradeoff  what a learner keeps against what it learns
    cost      parameters and training time of every step
    queries   the query embeddings: a t-SNE map, and the cosine of every pair
    """
    from cvis.report import load_runs
    from cvis.report.plots.write import write_plots

    store = load_runs(runs)
    demand(store, bool(store.runs), runs)
    finish(store, strict)
    written = write_plots(store.runs, out, kind or (), metric or (), format or ("svg", "pdf"))
    if as_json:
        left_out = [{"path": str(item.path), "reason": item.reason} for item in store.left_out]
        skipped = [{"figure": name, "reason": reason} for name, reason in written.skipped.items()]
        emit_json({"schema": 1, "written": list(map(str, written.files)), "skipped": skipped, "left_out": left_out})
    else:
        for path in written.files:
            typer.echo(path)
    for name, reason in written.skipped.items():
        typer.echo(f"skipped {name}: {reason}", err=True)
