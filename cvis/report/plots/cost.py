"""What every step costs: numbers trained, numbers to keep, time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from cvis.errors import UserError
from cvis.report.plots.curves import draw_curves, has_values, last_values
from cvis.report.plots.plot import Drawing, Plot, runs_of
from cvis.report.plots.style import PAGE, draw_panels, house_style, looks
from cvis.report.views import COSTS, Curve, Entry, cost_curves
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "trainable_params": "trainable parameters",
    "stored_params": "stored parameters",
    "train_s": "training time (s)",
}


@house_style()
def cost(runs: Sequence[RunResult], among: Sequence[RunResult] = ()) -> Figure:
    """Parameters trained and stored, and training time, per step; the scales are logarithmic.

    Stored parameters are those that a step adds to, or changes in, what must be kept.

    Args:
        among: all runs of a set of figures, so that a row looks alike in all of them.

    Raises:
        UserError: no run has any of it, or a value is not a number.
    """
    by_cost = {name: cost_curves(runs, name) for name in COSTS}
    known = {name: every for name, every in by_cost.items() if has_values(every)}
    if not known:
        raise UserError(f"{', '.join(COSTS)}: no run has it at any step; make the run again with this version")
    styles = looks(among or runs)

    def draw(axes: Axes, name: str, shown: Sequence[Curve]) -> None:
        draw_curves(axes, shown, styles)
        _decades(axes, shown)
        axes.set_ylabel(AXES[name])

    return draw_panels((PAGE, 1.8), "Parameters and time per step", known, last_values(known), draw)


def _decades(axes: Axes, shown: Sequence[Curve]) -> None:
    """A logarithmic scale over whole decades, which alone are labelled."""
    from matplotlib.ticker import EngFormatter, NullFormatter

    positive = [value for curve in shown for value in curve.mean if value > 0]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if positive:
        axes.set_ylim(10 ** floor(log10(min(positive))), 10 ** ceil(log10(max(positive) * 1.05)))


def _drawings(rows: Sequence[Entry], metrics: Sequence[str], among: Sequence[RunResult]) -> Iterator[Drawing]:
    caption = "Parameters and training time of each step, on logarithmic scales."
    yield Drawing("cost", partial(cost, runs_of(rows), among), caption, wide=True)


PLOT = Plot("cost", "parameters and training time of every step", _drawings, section="results")
