"""The AP of every class after every step, and beside it what was forgotten of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cvis.errors import UserError
from cvis.evaluation.measures import CLASS_METRICS
from cvis.report.class_views import ClassByStep, Runs, class_by_step, class_forgetting
from cvis.report.plots.plot import Drawing, Plot, row_file_name
from cvis.report.plots.style import COLUMN, GREY, PAGE, SEQUENTIAL, house_style, new_figure
from cvis.report.views import Entry
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.145  # inches
LOST, GAINED = "#D55E00", "#0072B2"


@house_style()
def class_heatmap(runs: Runs, metric: str = "AP", label: str = "") -> Figure:
    """Class x step of one run, or of the mean over the seeds of one row; white where a class is not learned yet.

    Args:
        label: what the row is called; default: the run's name.

    Raises:
        UserError: an unknown metric, a damaged file, seeds whose classes differ, or no numbers per class.
    """
    first = runs if isinstance(runs, RunResult) else runs[0]
    matrix = class_by_step(runs, metric)
    if not np.isfinite(matrix.values).any():
        raise UserError(f"{first.file}: per_class: has no {metric} of any class, so there is no map")
    name = label or first.name
    title = f"{metric} of every class, {name}"
    forgotten = np.array([c.forgetting for c in class_forgetting(runs)])
    several = bool(np.isfinite(forgotten).any())  # steps: after one, nothing can be forgotten
    width = PAGE if several else COLUMN
    figure = new_figure(width, 1.2 + ROW * len(matrix.classes), title, _describe(matrix, name))
    if several:
        cells, bars = figure.subplots(1, 2, width_ratios=(max(4.0, 0.7 * len(matrix.steps)), 2.2), sharey=True)
        _forgotten(bars, forgotten, matrix)
    else:
        cells = figure.subplots()
    _map(figure, cells, matrix)
    seeds = f", mean of {matrix.n} seeds" if matrix.n > 1 else ""
    figure.suptitle(f"{name}\n{first.scenario}, {first.segmenter}{seeds}", fontsize=8)
    return figure


def _map(figure: Figure, axes: Axes, matrix: ClassByStep) -> None:
    image = axes.imshow(matrix.values, cmap=SEQUENTIAL, vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(matrix.names)), matrix.names, fontsize=6)
    axes.set_xticks(range(len(matrix.steps)), [str(t) for t in matrix.steps])
    axes.set_xlabel("step")
    axes.tick_params(length=0)
    for (row, t), value in np.ndenumerate(matrix.values):
        if np.isfinite(value):
            dark = value < 60
            axes.text(t, row, f"{value:.0f}", ha="center", va="center", fontsize=5.5, color="w" if dark else "k")
    for row, c in enumerate(matrix.classes):
        if c in matrix.no_ground_truth:
            axes.text(matrix.steps[-1] / 2, row, "no ground truth", ha="center", va="center", fontsize=5.5, color=GREY)
    _borders(axes, matrix)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=axes, location="top", shrink=0.6, aspect=40, pad=0.008)
    bar.set_label(f"{matrix.metric} (%)", fontsize=7)
    bar.outline.set_visible(False)


def _borders(axes: Axes, matrix: ClassByStep) -> None:
    """A rule between the classes of two steps."""
    for row in range(1, len(matrix.classes)):
        if matrix.learned_at[row] != matrix.learned_at[row - 1]:
            axes.axhline(row - 0.5, color="black", linewidth=0.6)


def _forgotten(axes: Axes, values: np.ndarray, matrix: ClassByStep) -> None:
    rows = np.arange(len(values))
    known = np.isfinite(values)
    colours = [LOST if value > 0 else GAINED for value in values[known]]
    axes.barh(rows[known], values[known], height=0.72, color=colours)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_xlabel("forgetting (points of AP)")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.grid(axis="x")
    _borders(axes, matrix)


def _describe(matrix: ClassByStep, name: str) -> str:
    final = ", ".join(
        f"{label} {value:.0f}" for label, value in zip(matrix.names, matrix.values[:, -1], strict=True) if value >= 0
    )
    return f"{name}: {matrix.metric} of {len(matrix.classes)} classes after each step. After the last: {final}."


def _drawings(rows: Sequence[Entry], metrics: Sequence[str], among: Sequence[RunResult]) -> Iterator[Drawing]:
    for row in rows:
        for metric in metrics:
            suffix = "" if metric == CLASS_METRICS[0] else f"-{metric}"
            yield Drawing(f"heatmap-{row_file_name(row)}{suffix}", partial(class_heatmap, row.runs, metric, row.label))


PLOT = Plot(
    "heatmap",
    "the AP of every class after every step, and what was forgotten of it",
    _drawings,
    CLASS_METRICS,
    CLASS_METRICS[:1],
)
