"""``cvis compare``: the result table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvis.cli.output import Cell, Styled, emit_json, examples, show_table
from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.report import Block, Group, LeftOut

EXAMPLES = examples(
    "cvis compare runs",
    "cvis compare runs/synthetic-20-4 --metric mAP --metric FR",
    "cvis compare runs --per-step --metric mAP_seen",
    "cvis compare runs --json --strict",
)
STYLES = {0: "", 1: "bold", 2: "underline"}
RANDOM_NOTE = (
    "[random text encoder]: class names went through a text model with random weights, not through CLIP's; "
    "such a row shows that the method runs, not what language knowledge gives it."
)


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders with runs, or metrics.json files.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this metric; may be repeated. Default: all but plasticity, relative_drop, n_never_learned and "
            "avg_incremental_mAP_without_base."
        ),
    ] = None,
    per_step: Annotated[
        bool, typer.Option("--per-step", help="One column per step of the stream (default: of mAP_all).")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="An unfinished or damaged run is an error (exit code 2).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Compare finished runs: mean and deviation over seeds, x100, one table per stream and segmenter.

    Best is bold, second underlined, among rows with one protocol. Upper bounds (joint) come last and unranked.
    Rows under another protocol stand apart, with the keys that differ.
    """
    from cvis.report import comparison, load_runs
    from cvis.report import per_step as along_steps
    from cvis.report.table import as_json as plain

    store = load_runs(runs)
    metrics = metric or []
    if per_step:
        tables = {name: along_steps(store.runs, name) for name in metrics or ["mAP_all"]}
    else:
        tables = {"": comparison(store.runs, metrics)}
    if as_json:
        groups = {name: plain(table) for name, table in tables.items()}
        content = {"per_step": groups} if per_step else {"groups": groups[""]}
        left_out = [{"path": str(item.path), "reason": item.reason} for item in store.left_out]
        emit_json({"schema": 1, **content, "left_out": left_out})
    else:
        for name, table in tables.items():
            for group in table:
                _show(group, name)
        if any(run.text_encoder and run.text_encoder.is_random for run in store.runs):
            typer.echo(RANDOM_NOTE)
    _finish(store.left_out, bool(store.runs), strict)


def _show(group: Group, metric: str) -> None:
    from cvis.report.metrics import METRICS

    titles = [METRICS[c][0] if c in METRICS else c for c in group.columns]
    for block in group.blocks:
        head = f"{group.scenario}  {group.segmenter}" + (f"  {metric}" if metric else "")
        if block.differs:
            keys = "; ".join(f"{key} = {a!r}, not {b!r}" for key, (a, b) in block.differs.items())
            head += f"\nanother protocol, not comparable with the table above: {keys}"
        show_table(["learner", "init", "seeds", *titles], _rows(block, group.columns), left=2, title=head)
        typer.echo()


def _rows(block: Block, columns: tuple[str, ...]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for row in block.rows:
        name = f"{row.name} (upper bound)" if row.upper_bound else row.name
        cells = [row.cells[c] for c in columns]
        rows.append([name, row.init, str(len(row.seeds)), *(Styled(c.text(), STYLES[c.rank]) for c in cells)])
    return rows


def _finish(left_out: tuple[LeftOut, ...], found: bool, strict: bool) -> None:
    for item in left_out:
        typer.echo(f"left out: {item}", err=True)
    if strict and left_out:
        raise UserError(f"{len(left_out)} runs were left out, the first: {left_out[0]}")
    if not found:
        raise UserError("no finished run found; a run is finished when its folder has a metrics.json")
