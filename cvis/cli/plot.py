"""``cvis plot``: figures of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cvis.cli.output import emit_json, examples
from cvis.cli.tables import Runs, Strict, demand, finish

EXAMPLES = examples(
    "cvis plot runs",
    "cvis plot runs/synthetic-20-4 --kind curves --metric mAP_old --metric mAP_new --out curves.pdf",
    "cvis plot runs --kind tradeoff --metric FR --out figures --format png",
    "cvis plot runs/synthetic-20-4/mask2former_tiny/finetune --kind heatmap --out finetune.svg",
)


class ListsKinds(TyperCommand):
    """Its help ends in the kinds of figures; they are looked for only when it is asked for."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        from cvis.report.plots.plot import plots

        super().format_help_text(ctx, formatter)
        metrics = {plot.name: f" ({', '.join(plot.default)})" for plot in plots().values() if plot.metrics}
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_dl([(name, plot.help + metrics.get(name, "")) for name, plot in plots().items()])


COMMAND_CLASS = ListsKinds


def _kinds() -> list[str]:
    from cvis.report.plots.plot import plots

    return [*plots(), "all"]


def _metrics() -> list[str]:
    from cvis.report.plots.plot import plots

    return sorted({metric for plot in plots().values() for metric in plot.metrics})


def _formats() -> list[str]:
    from cvis.report.plots.output import FORMATS

    return list(FORMATS)


def plot(
    runs: Runs,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="One of the kinds above, or all; may be repeated. Default: all.", autocompletion=_kinds),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="A folder; or, for a single figure, a file that ends in .svg, .pdf or .png.")
    ] = Path("plots"),
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Another metric for the kinds that have one in brackets; may be repeated.", autocompletion=_metrics
        ),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="In a folder: svg, pdf or png; may be repeated. Default: svg and pdf.", autocompletion=_formats
        ),
    ] = None,
    strict: Strict = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the names of the files as JSON.")] = False,
) -> None:
    """Draw finished runs: mean over seeds, with their standard deviation as band or bar."""
    from cvis.report import load_runs
    from cvis.report.plots.output import write_plots

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
