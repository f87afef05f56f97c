"""Metrics along the stream: mean over the seeds as a line, their deviation as a band (the papers' Figs. 6 and 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cvis.errors import UserError
from cvis.evaluation.measures import MEASURES, STEP_METRICS
from cvis.report.plots.plot import Drawing, Plot, runs_of
from cvis.report.plots.style import BOUND_COLOUR, BOUND_NOTE, COLUMN, PAGE, Look, draw_panels, house_style, looks
from cvis.report.views import Curve, Entry, step_curves
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    styles = looks(among or runs)

    def draw(axes: Axes, metric: str, shown: Sequence[Curve]) -> None:
        draw_curves(axes, shown, styles)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(MEASURES[metric].axis)

    width, title = COLUMN if len(columns) == 1 else PAGE, f"{', '.join(columns)} per step"
    return draw_panels((width, 1.9), title, by_metric, last_values(by_metric), draw)


def has_values(curves: Sequence[Curve]) -> bool:
    return any(np.isfinite(curve.mean).any() for curve in curves)


def last_values(by_metric: Mapping[str, Sequence[Curve]]) -> Iterator[str]:
    """What every row reaches at the end, in words."""
    for metric, every in by_metric.items():
        for curve in every:
            if np.isfinite(curve.mean[-1]):
                yield f"{curve.label} {curve.mean[-1]:.1f} {metric} after step {curve.steps[-1]}"


def draw_curves(axes: Axes, shown: Sequence[Curve], styles: Mapping[str, Look]) -> None:
    """The curves of one stream and protocol into one panel."""
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
    shape: dict[str, Any] = {"marker": look.marker, "markeredgecolor": "white", "markeredgewidth": 0.4}
    axes.plot(steps, mean, color=look.colour, linestyle=look.dashes, label=curve.label, **shape)


def _bound(axes: Axes, curve: Curve) -> None:
    mean, std = curve.mean[-1], curve.std[-1]
    axes.axhline(mean, color=BOUND_COLOUR, linestyle=(0, (6, 2)), linewidth=0.9, label=curve.label + BOUND_NOTE)
    if np.isfinite(std):
        axes.axhspan(mean - std, mean + std, color=BOUND_COLOUR, alpha=0.07, linewidth=0)


def _drawings(rows: Sequence[Entry], metrics: Sequence[str], among: Sequence[RunResult]) -> Iterator[Drawing]:
    caption = "mAP and AR1 over all classes, those to come included; the band is the deviation over seeds."
    yield Drawing("curves", partial(curves, runs_of(rows), metrics, among), caption, wide=True)


PLOT = Plot("curves", "metrics along the steps of the stream", _drawings, STEP_METRICS, DEFAULT, "steps")
