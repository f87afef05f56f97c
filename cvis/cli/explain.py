"""``cvis explain``: where the AP of predictions is lost, and where the forgotten AP of a run went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvis.cli.output import Cell, emit_json, examples, show_table
from cvis.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from cvis.evaluation.explain import Explanation, Losses
    from cvis.report.explain_run import RunExplanation

EXAMPLES = examples(
    "cvis explain --ann instances.json --pred results.json --plot losses.svg",
    "cvis explain runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --plot fates.pdf",
    "cvis explain runs/synthetic-20-4/mask2former_tiny/finetune/seed0 --step 2 --json",
)
LOSS_LEGEND = """\
Points of AP50 gained if only this kind of error were corrected: they do not
add up. The worst of a row is marked *.
  wrong class  predictions that lie on an object of another class
  poor masks   .. on the right object, but masks too far off or drifting away
  broken       .. on the right object, for fewer than half of its frames
  switched     .. that jump from one object to another
  both         .. near an object of another class
  duplicate    .. on an object that a surer one has found
  background   .. on no object
  missed       objects that no prediction finds or, by the kinds above, means"""
FATE_LEGEND = """\
Objects found when their class was new, and what the later model makes of them.
  still  found
  newer  found as a class that was learned later
  older  found as another class that was learned before or with its own
  poor   only poor masks of its class
  gone   no longer found at all"""


def explain(
    run: Annotated[
        Path | None,
        typer.Argument(help="The folder of a finished run, or its bundle, in place of --ann and --pred."),
    ] = None,
    ann: Annotated[Path | None, typer.Option(help="Ground truth: an annotation file in YouTube-VIS format.")] = None,
    pred: Annotated[
        Path | None, typer.Option(help="Predictions: a YouTube-VIS results file, .json or .json.gz.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Show only these classes: ids or names, comma separated. Default: all.")
    ] = None,
    step: Annotated[int | None, typer.Option(help="Of a run: the step to explain. Default: the last.")] = None,
    data: Annotated[Path | None, typer.Option(help="Of a run: the folder of its data set, if it has moved.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw it: a .svg, .pdf or .png file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Explain an AP: what is lost to which kind of error, per class.

    Of a run also: what became of the objects of every old class that were found when the class was new.
    """
    if plot is not None:
        from cvis.report.plots.output import check_format

        check_format(plot, "--plot")
    if run is not None:
        if ann is not None or pred is not None:
            raise UserError(f"--ann, --pred: given beside the run {run}, which has its own; give one or the other")
        _explain_run(run, classes, step, data, plot, as_json)
    elif ann is None or pred is None:
        raise UserError("explain what? give the folder of a run, or both --ann and --pred")
    elif step is not None or data is not None:
        raise UserError("--step, --data: belong to a run; give its folder in place of --ann and --pred")
    else:
        _explain_files(ann, pred, classes, plot, as_json)


def category_ids(text: str, names: Mapping[int, str]) -> list[int]:
    """Category ids of a comma separated list of ids and names; a name that is a number is taken as an id.

    Args:
        names: id -> name of every category that may be named.

    Raises:
        UserError: none of these categories.

    >>> category_ids("cat, 4", {4: "dog", 7: "cat"})
    [7, 4]
    """
    ids = {**{name: i for i, name in names.items()}, **{str(i): i for i in names}}
    items = [part.strip() for part in text.split(",")]
    if unknown := [item for item in items if item not in ids]:
        what = f"--classes: {unknown[0]!r}: not a category of the ground truth"
        raise UserError(f"{what}; {did_you_mean(unknown[0], list(names.values()))}")
    return [ids[item] for item in items]


def _explain_files(ann: Path, pred: Path, classes: str | None, plot: Path | None, as_json: bool) -> None:
    from cvis.data.ytvis import read_ytvis
    from cvis.evaluation.explain import explain as evaluate
    from cvis.evaluation.results import read_results
    from cvis.report.explain_plot import plot_losses

    ground_truth = read_ytvis(ann, None)
    names = {category.id: category.name for category in ground_truth.categories}
    wanted = None if classes is None else category_ids(classes, names)
    losses = evaluate(ground_truth, read_results(pred, ground_truth), wanted)
    if plot is not None:
        plot_losses(losses, names, plot)
    if as_json:
        emit_json({"schema": 1, "names": {str(c): names[c] for c in losses.per_class}, "losses": losses.as_json()})
    else:
        _show_losses(losses, names)


def _explain_run(
    folder: Path, classes: str | None, step: int | None, data: Path | None, plot: Path | None, as_json: bool
) -> None:
    from cvis.report.explain_plot import plot_run
    from cvis.report.explain_run import explain_run
    from cvis.runs.open import open_run

    run = open_run(folder)
    one_step = len(run.result.steps) == 1  # first the run itself: its data set takes longer to read
    scenario = run.scenario(data)
    names = {c: scenario.categories[c] for c in scenario.classes}
    explained = explain_run(run, scenario, step, None if classes is None else category_ids(classes, names))
    if plot is not None:
        plot_run(explained, plot)
    if as_json:
        emit_json({"schema": 1, **explained.as_json()})
        return
    _show_losses(explained.losses, explained.names, explained.title)
    typer.echo()
    if explained.fates:
        _show_fates(explained)
    elif one_step:
        typer.echo("The run has one step: there is nothing that it could forget.")
    else:
        typer.echo("No old class among these: nothing could be forgotten yet.")


def _show_losses(losses: Explanation, names: dict[int, str], title: str = "") -> None:
    from cvis.evaluation.error_kinds import KINDS

    numbers = [str(losses.mean.counts[kind]) + " " for kind in KINDS]
    rows: list[list[str | Cell]] = [["mean of classes", *_loss_cells(losses.mean)]]
    rows.append(["number of errors", str(losses.mean.num_gt), "", "", *numbers])
    shown = losses.worst_first()
    rows += [[names[c], *_loss_cells(losses.per_class[c])] for c in shown]
    headings = [kind.replace("_", " ") + " " for kind in KINDS]
    show_table(["class", "objects", "AP", "AP50", *headings], rows, title=title)
    if empty := len(losses.per_class) - len(shown):
        typer.echo(f"Not shown: {empty} classes without an annotated object.")
    typer.echo(f"\n{LOSS_LEGEND}")


def _loss_cells(losses: Losses) -> list[str | Cell]:
    worst = max([value for value in losses.dap50.values() if value is not None], default=None)
    cells: list[str | Cell] = [str(losses.num_gt), _number(losses.ap), _number(losses.ap50)]
    for value in losses.dap50.values():
        marked = value is not None and value == worst and round(value, 2) > 0
        cells.append(Cell(_number(value) + "*", style="bold red") if marked else _number(value) + " ")
    return cells


def _show_fates(explained: RunExplanation) -> None:
    rows: list[list[str | Cell]] = []
    for label, fate, is_sum in explained.rows():
        counts: list[Any] = [fate.num_gt, fate.found, fate.still, sum(fate.newer.values()), sum(fate.older.values())]
        cells = [label if is_sum else f"  {label}", explained.takers(fate), *map(str, [*counts, fate.poor, fate.gone])]
        rows.append([Cell(cell, style="bold") if is_sum else cell for cell in cells])
    headings = ["class", "now found as", "objects", "found", "still", "newer", "older", "poor", "gone"]
    show_table(headings, rows, left=2, title="Where the forgotten AP went")
    typer.echo(f"\n{FATE_LEGEND}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
