"""Metrics along the stream: mean over the seeds as a line, their deviation as a band (the papers' Figs. 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cvis.errors import UserError
from cvis.evaluation.measures import MEASURES
from cvis.report.plots.style import (
    BOUND_COLOUR,
    BOUND_NOTE,
    COLUMN,
    PAGE,
    Look,
    Plot,
    heading,
    house_style,
    legend,
    looks,
)
from cvis.report.views import Curve, step_curves
from cvis.runs.find import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEFAULT = ("mAP_all", "AR1")


@house_style()
def curves(runs: Sequence[RunResult], metrics: str | Sequence[str] = DEFAULT, among: Sequence[RunResult] = ()) -> Plot:
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
    places = list(dict.fromkeys(c.entry.place for own in by_metric.values() for c in own))
    if not any(np.isfinite(c.mean).any() for own in by_metric.values() for c in own):
        raise UserError(f"{', '.join(columns)}: no run has it at any step; choose another --metric")
    width = COLUMN if len(columns) == 1 else PAGE
    figure = Plot(width, 1.9 * len(places), f"{', '.join(columns)} per step", describe(by_metric))
    grid = figure.subplots(len(places), len(columns), squeeze=False)
    styles = looks(among or runs)
    for row, place in zip(grid, places, strict=True):
        for axes, (metric, every) in zip(row, by_metric.items(), strict=True):
            own = [c for c in every if c.entry.place == place]
            draw(axes, own, styles)
            axes.set_ylim(bottom=0)
            axes.set_ylabel(MEASURES[metric].axis)
        row[0].set_title(heading(own[0].entry, len(places) > 1), loc="left")
    legend(figure, grid.flat)
    return figure


def draw(axes: Axes, own: Sequence[Curve], styles: dict[str, Look]) -> None:
    """The curves of one place into one panel."""
    last = max(max(c.steps) for c in own)
    for curve in own:
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


def describe(by_metric: dict[str, list[Curve]]) -> str:
    """Every row's last value, in words."""
    said = []
    for metric, own in by_metric.items():
        for curve in own:
            if np.isfinite(curve.mean[-1]):
                said.append(f"{curve.label} {curve.mean[-1]:.1f} {metric} after step {curve.steps[-1]}")
    return "Mean over seeds. " + "; ".join(said) + "."
