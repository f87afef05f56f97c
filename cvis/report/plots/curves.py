"""Metrics along the stream: mean over the seeds as a line, their deviation as a band (the papers' Figs. 6 and 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cvis.errors import UserError
from cvis.evaluation.measures import STEP_METRICS
from cvis.report.plots.plot import Drawing, Plot, runs_of
from cvis.report.plots.style import (
    BOUND_COLOUR,
    BOUND_NOTE,
    COLUMN,
    PAGE,
    Look,
    heading,
    house_style,
    legend,
    looks,
    new_figure,
)
from cvis.report.views import Curve, Entry, step_curves
from cvis.runs.find import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "mAP_all": "mAP, all classes (%)",
    "mAP_seen": "mAP, classes seen so far (%)",
    "mAP_base": "mAP, base classes (%)",
    "mAP_old": "mAP, old classes (%)",
    "mAP_new": "mAP, new classes (%)",
}
DEFAULT = ("mAP_all", "AR1")


@house_style()
def curves(
    runs: Sequence[RunResult], metrics: str | Sequence[str] = DEFAULT, among: Sequence[RunResult] = ()
) -> Figure:
    """A panel per metric, a line per row of the table; rows of another stream or protocol have panels of their own.

    An upper bound is a horizontal line at its final value.

    Args:
        metrics: of :data:`cvis.evaluation.measures.STEP_METRICS`.
        among: all runs of a set of figures, so that a row looks alike in all of them.

    Raises:
        UserError: an unknown metric, or runs that have none of it.
    """
    columns = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    by_metric = {metric: step_curves(runs, metric) for metric in columns}
    if not any(map(has_values, by_metric.values())):
        raise UserError(f"{', '.join(columns)}: no run has it at any step; choose another --metric")

    def scale(axes: Axes, metric: str, shown: Sequence[Curve]) -> None:
        axes.set_ylim(bottom=0)
        axes.set_ylabel(AXES.get(metric, f"{metric} (%)"))

    size = COLUMN if len(columns) == 1 else PAGE, 1.9
    return draw_panels(by_metric, f"{', '.join(columns)} per step", size, looks(among or runs), scale)


def has_values(curves: Sequence[Curve]) -> bool:
    return any(np.isfinite(curve.mean).any() for curve in curves)


def draw_panels(
    by_metric: Mapping[str, Sequence[Curve]],
    title: str,
    size: tuple[float, float],
    styles: Mapping[str, Look],
    scale: Callable[[Axes, str, Sequence[Curve]], None],
) -> Figure:
    """A line of panels per stream and protocol, a panel per metric in it, one legend below.

    Args:
        size: width of the figure and height of a line of panels, in inches.
        scale: given a panel, its metric and its curves, sets the y axis.
    """
    places = list(dict.fromkeys(curve.entry.place for every in by_metric.values() for curve in every))
    figure = new_figure(size[0], size[1] * len(places), title, _describe(by_metric))
    grid = figure.subplots(len(places), len(by_metric), squeeze=False)
    for line, place in zip(grid, places, strict=True):
        for axes, (metric, every) in zip(line, by_metric.items(), strict=True):
            shown = [curve for curve in every if curve.entry.place == place]
            _draw(axes, shown, styles)
            scale(axes, metric, shown)
        line[0].set_title(heading(shown[0].entry, len(places) > 1), loc="left")
    legend(figure, grid.flat)
    return figure


def _draw(axes: Axes, shown: Sequence[Curve], styles: Mapping[str, Look]) -> None:
    last = max(max(curve.steps) for curve in shown)
    for curve in shown:
        if not np.isfinite(curve.mean).any():
            continue
        if curve.upper_bound:
            _bound(axes, curve)
        else:
            _line(axes, curve, styles[curve.label])
    axes.set_xlabel("step")
    axes.set_xticks(range(0, last + 1, 1 if last <= 12 else 5))
    axes.set_xlim(-0.25, last + 0.25)
    axes.grid(axis="y")


def _line(axes: Axes, curve: Curve, look: Look) -> None:
    steps, mean, std = (np.asarray(values, float) for values in (curve.steps, curve.mean, curve.std))
    axes.fill_between(steps, mean - std, mean + std, color=look.colour, alpha=0.13, linewidth=0)
    axes.plot(
        steps,
        mean,
        color=look.colour,
        marker=look.marker,
        linestyle=look.dashes,
        markeredgecolor="white",
        markeredgewidth=0.4,
        label=curve.label,
    )


def _bound(axes: Axes, curve: Curve) -> None:
    mean, std = curve.mean[-1], curve.std[-1]
    axes.axhline(mean, color=BOUND_COLOUR, linestyle=(0, (6, 2)), linewidth=0.9, label=curve.label + BOUND_NOTE)
    if np.isfinite(std):
        axes.axhspan(mean - std, mean + std, color=BOUND_COLOUR, alpha=0.07, linewidth=0)


def _describe(by_metric: Mapping[str, Sequence[Curve]]) -> str:
    """Every row's last value, in words."""
    last_values = [
        f"{curve.label} {curve.mean[-1]:.1f} {metric} after step {curve.steps[-1]}"
        for metric, every in by_metric.items()
        for curve in every
        if np.isfinite(curve.mean[-1])
    ]
    return "Mean over seeds. " + "; ".join(last_values) + "."


def _drawings(rows: Sequence[Entry], metrics: Sequence[str], among: Sequence[RunResult]) -> Iterator[Drawing]:
    caption = "mAP and AR1 over all classes, those to come included; the band is the deviation over seeds."
    yield Drawing("curves", partial(curves, runs_of(rows), metrics, among), caption, wide=True)


PLOT = Plot("curves", "metrics along the steps of the stream", _drawings, STEP_METRICS, DEFAULT, "steps")
