"""What every step costs: numbers trained, numbers to keep, time."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import EngFormatter, NullFormatter

from cvis.errors import UserError
from cvis.report.plots.curves import describe, draw
from cvis.report.plots.style import PAGE, Plot, heading, house_style, legend, looks
from cvis.report.views import COSTS, Curve, cost_curves
from cvis.runs.find import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "trainable_params": "trainable parameters",
    "stored_params": "stored parameters",
    "train_s": "training time (s)",
}


@house_style()
def cost(runs: Sequence[RunResult], among: Sequence[RunResult] = ()) -> Plot:
    """Parameters trained and stored, and training time, per step; the scales are logarithmic.

    Stored parameters are those that a step adds to, or changes in, what must be kept.

    Args:
        among: all runs of a set of figures, so that a row looks alike in all of them.

    Raises:
        UserError: no run has any of it, or a value is not a number.
    """
    by_cost = {name: cost_curves(runs, name) for name in COSTS}
    known = {name: own for name, own in by_cost.items() if any(np.isfinite(c.mean).any() for c in own)}
    if not known:
        raise UserError(f"{', '.join(COSTS)}: no run has it at any step; make the run again with this version")
    places = list(dict.fromkeys(c.entry.place for own in known.values() for c in own))
    figure = Plot(PAGE, 1.8 * len(places), "Parameters and time per step", describe(known))
    grid = figure.subplots(len(places), len(known), squeeze=False)
    styles = looks(among or runs)
    for row, place in zip(grid, places, strict=True):
        for axes, (name, curves) in zip(row, known.items(), strict=True):
            own = [c for c in curves if c.entry.place == place]
            draw(axes, own, styles)
            _decades(axes, own)
            axes.set_ylabel(AXES[name])
        row[0].set_title(heading(own[0].entry, len(places) > 1), loc="left")
    legend(figure, grid.flat)
    return figure


def _decades(axes: Axes, own: Sequence[Curve]) -> None:
    """A logarithmic scale over whole decades, which alone are labelled."""
    found = [value for curve in own for value in curve.mean if value > 0]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if found:
        axes.set_ylim(10 ** floor(log10(min(found))), 10 ** ceil(log10(max(found) * 1.05)))
