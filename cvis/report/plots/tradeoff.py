"""What a learner keeps against what it learns: the upper right corner is where one wants to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cvis.errors import UserError
from cvis.evaluation.measures import MEASURES, STABILITY
from cvis.report.plots.plot import Drawing, Plot, runs_of
from cvis.report.plots.style import BOUND_COLOUR, BOUND_NOTE, COLUMN, Look, draw_panels, house_style, looks
from cvis.report.views import Entry, Tradeoff, tradeoff
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@house_style()
def stability_plasticity(
    runs: Sequence[RunResult], stability: str = "mAP_base", among: Sequence[RunResult] = ()
) -> Figure:
    """A point per row of the table, with the deviation over its seeds in both directions.

    Measures of forgetting point downwards: up is always better.

    Args:
        stability: of :data:`cvis.evaluation.measures.STABILITY`.
        among: all runs of a set of figures, so that a row looks alike in all of them.

    Raises:
        UserError: an unknown measure, or no run that has both values, as none has after a single step.
    """
    rows = [t for t in tradeoff(runs, stability) if np.isfinite(t.plasticity[0]) and np.isfinite(t.stability[0])]
    if not any(not t.entry.row.upper_bound for t in rows):
        raise UserError(f"plasticity, {stability}: no run has both; it takes a stream of two steps")
    described = (f"{t.entry.label}: plasticity {t.plasticity[0]:.1f}, {stability} {t.stability[0]:.1f}" for t in rows)
    styles = looks(among or runs)

    def draw(axes: Axes, measure: str, points: Sequence[Tradeoff]) -> None:
        for point in points:
            _mark(axes, point, styles)
        axes.grid()
        axes.margins(0.08)
        axes.set_xlabel("plasticity: mAP of new classes (%)")
        kept = MEASURES[measure]
        axes.set_ylabel("stability: mAP of base classes (%)" if measure == "mAP_base" else kept.axis)
        if kept.direction == "lower":
            axes.invert_yaxis()

    return draw_panels((COLUMN, 2.5), "Stability and plasticity", {stability: rows}, described, draw)


def _mark(axes: Axes, point: Tradeoff, styles: Mapping[str, Look]) -> None:
    bound = point.entry.row.upper_bound
    look = Look(BOUND_COLOUR, "*", "") if bound else styles[point.entry.label]
    (x, dx), (y, dy) = point.plasticity, point.stability
    xerr, yerr = (deviation if np.isfinite(deviation) else None for deviation in (dx, dy))
    bars: dict[str, Any] = {"ecolor": (look.colour, 0.5), "elinewidth": 0.8, "linestyle": ""}
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5, "markersize": 8 if bound else 5.5}
    label = point.entry.label + (BOUND_NOTE if bound else "")
    axes.errorbar(x, y, yerr, xerr, color=look.colour, marker=look.marker, label=label, **bars, **edge)


def _drawings(rows: Sequence[Entry], metrics: Sequence[str], among: Sequence[RunResult]) -> Iterator[Drawing]:
    for measure in metrics:
        name = "tradeoff" if measure == STABILITY[0] else f"tradeoff-{measure}"
        caption = "What is kept against what is learned: up and right is better."
        yield Drawing(name, partial(stability_plasticity, runs_of(rows), measure, among), caption)


PLOT = Plot("tradeoff", "what a learner keeps against what it learns", _drawings, STABILITY, STABILITY[:1], "results")
