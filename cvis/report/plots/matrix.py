"""Learner x segmenter as a heat map: what every method reaches on every model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cvis.errors import UserError
from cvis.evaluation.measures import COLUMNS, MEASURES, METRICS
from cvis.report.layout import name
from cvis.report.matrix import VARIANT, Matrix, Pair, matrices
from cvis.report.plots.plot import Drawing, Plot, runs_of
from cvis.report.plots.style import GREY, LETTER, SEQUENTIAL, house_style, new_figure
from cvis.report.views import Entry
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW, COLUMN = 0.21, 0.8  # inches, of a cell


@house_style()
def matrix_heatmap(matrix: Matrix, undefined: Mapping[Pair, str] = {}) -> Figure:
    """A cell per learner and segmenter, brighter where better; upper bounds last, the best of a column bold.

    Args:
        undefined: pairs that cannot be; other empty cells have no run.

    Raises:
        UserError: no cell has a number.
    """
    measure = MEASURES[matrix.metric]
    values = np.array([[_mean(matrix, row, column) for column in range(len(matrix.segmenters))] for row in range(len(matrix.rows))])
    if not np.isfinite(values).any():
        raise UserError(f"{matrix.metric}: no run of {matrix.scenario} has it, so there is no map")
    labels = [name(row) for row in matrix.rows]
    width = 0.5 + 0.9 * LETTER * max(map(len, labels)) + COLUMN * len(matrix.segmenters)
    title = f"{measure.title or measure.heading} of learners and models, {matrix.scenario}"
    figure = new_figure(width, 1.1 + ROW * len(labels), title, _describe(matrix, values, labels))
    axes = figure.subplots()
    colours = SEQUENTIAL if measure.direction == "higher" else f"{SEQUENTIAL}_r"
    image = axes.imshow(values, cmap=colours, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(range(len(matrix.segmenters)), [text.replace("_", "\n", 1) for text in matrix.segmenters])
    axes.tick_params(length=0, labelbottom=False, labeltop=True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        pair = matrix.rows[row].learner, matrix.segmenters[column]
        _write(axes, matrix, row, column, float(image.norm(value)), "not defined" if pair in undefined else "no run")
    bounds = sum(row.upper_bound for row in matrix.rows)
    if 0 < bounds < len(labels):
        axes.axhline(len(labels) - bounds - 0.5, color="black", linewidth=0.8)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=40, pad=0.02)
    bar.set_label(measure.axis, fontsize=7)
    bar.outline.set_visible(False)
    return figure
