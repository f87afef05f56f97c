"""Learner x segmenter as a heat map: what every method reaches with every model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cvis.errors import UserError
from cvis.evaluation.measures import MEASURES, METRICS
from cvis.report.layout import name
from cvis.report.matrix import Matrix, Pair, matrices
from cvis.report.plots.plot import Drawing, Plot, runs_of
from cvis.report.plots.style import GREY, LETTER, SEQUENTIAL, house_style, new_figure
from cvis.report.views import Entry
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW, COLUMN = 0.21, 0.85  # inches, of a cell


@house_style()
def matrix_heatmap(matrix: Matrix, undefined: Mapping[Pair, str] = {}) -> Figure:
    """A cell for each learner and segmenter, the brighter the better; the best of a column bold, upper bounds last.

    Args:
        undefined: pairs that cannot be; other empty cells have no run.

    Raises:
        UserError: no cell has a number.
    """
    measure, size = MEASURES[matrix.metric], (len(matrix.rows), len(matrix.segmenters))
    cells = {
        (i, j): found
        for i, row in enumerate(matrix.rows)
        for j, segmenter in enumerate(matrix.segmenters)
        if (found := matrix.value(row, segmenter)) and found.mean is not None
    }
    if not cells:
        raise UserError(f"{matrix.metric}: no run of {matrix.scenario} has it, so there is no map")
    values = np.full(size, np.nan)
    for place, found in cells.items():
        values[place] = found.mean
    labels = [name(row) for row in matrix.rows]
    best = [f"{matrix.segmenters[j]} {labels[i]}" for (i, j), found in cells.items() if found.rank == 1]
    title = f"{measure.title or measure.heading} of every learner with every model"
    described = f"{matrix.scenario}, mean over seeds. Best: {', '.join(best) or 'none is ranked'}."
    width = 0.4 + LETTER * max(map(len, labels)) + COLUMN * size[1]
    figure = new_figure(width, 1.2 + ROW * size[0], title, described)
    axes = figure.subplots()
    colours = SEQUENTIAL if measure.direction == "higher" else f"{SEQUENTIAL}_r"
    image = axes.imshow(values, cmap=colours, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(size[0]), labels)
    axes.set_xticks(range(size[1]), ["\n".join(text.rsplit("_", 1)) for text in matrix.segmenters])
    axes.tick_params(length=0, labelbottom=False, labeltop=True)
    axes.spines[:].set_visible(False)
    for i, j in np.ndindex(size):
        middle: dict[str, Any] = {"x": j, "y": i, "ha": "center", "va": "center"}
        if found := cells.get((i, j)):
            dark = sum(image.to_rgba(values[i, j])[:3]) < 1.5
            weight = "bold" if found.rank == 1 else "normal"
            mark = "*" * matrix.is_variant(matrix.rows[i], matrix.segmenters[j])
            axes.text(**middle, s=f"{found.mean:.1f}{mark}", color="w" if dark else "k", weight=weight)
        else:
            pair = matrix.rows[i].learner, matrix.segmenters[j]
            axes.text(**middle, s="not defined" if pair in undefined else "no run", fontsize=5.5, color=GREY)
    bounds = sum(row.upper_bound for row in matrix.rows)
    if 0 < bounds < size[0]:
        axes.axhline(size[0] - bounds - 0.5, color="black", linewidth=0.8)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=40, pad=0.02)
    bar.set_label(f"{measure.axis}; * a variant of the method", fontsize=7)
    bar.outline.set_visible(False)
    return figure


def _draw(rows: Sequence[Entry], metric: str) -> Figure:
    return matrix_heatmap(matrices(runs_of(rows), metric)[0])


def _drawings(rows: Sequence[Entry], metrics: Sequence[str], among: Sequence[RunResult]) -> Iterator[Drawing]:
    if len({row.segmenter for row in rows}) > 1:
        for metric in metrics:
            suffix = "" if metric == METRICS[0] else f"-{metric}"
            caption = "What every learner reaches with every model; upper bounds below the line."
            yield Drawing(f"matrix{suffix}", partial(_draw, rows, metric), caption, wide=True)


PLOT = Plot(
    "matrix", "a metric of every learner with every model, of several", _drawings, METRICS, METRICS[:1], "models"
)
