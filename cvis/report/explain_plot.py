"""Plots of where AP is lost and where the forgotten AP went; vector text stays text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cvis.evaluation.error_kinds import KINDS
from cvis.evaluation.explain import Explanation
from cvis.report.explain_run import RunExplanation
from cvis.report.plots import style
from cvis.report.plots.output import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from cvis.evaluation.forgotten import Fate

TITLES = {
    "wrong_class": "wrong class",
    "poor_masks": "poor masks",
    "broken": "broken track",
    "switched": "switched track",
    "both": "class and masks",
    "duplicate": "duplicate",
    "background": "background",
    "missed": "missed",
}
FATES = {
    "still": "still found",
    "newer": "found as a newer class",
    "older": "found as another old class",
    "poor": "masks now poor",
    "gone": "no longer found",
}
# Okabe and Ito's palette: distinct also to the colour-blind
AP_COLOUR = "#009E73"
KIND_COLOURS = ("#0072B2", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9", "#B8A900", "#777777", "#222222")
FATE_COLOURS = {"still": "#009E73", "newer": "#D55E00", "older": "#E69F00", "poor": "#56B4E9", "gone": "#BBBBBB"}
ROW = 0.21  # inches
WHAT = "Where AP50 is lost: points gained if only this kind of error were corrected (not additive)"
SHARED = ("svg.fonttype", "svg.hashsalt", "pdf.fonttype", "font.size", "axes.spines.top", "axes.spines.right")
SETTINGS = {key: style.SETTINGS[key] for key in SHARED}


def plot_losses(explanation: Explanation, names: Mapping[int, str], path: Path, title: str = "") -> None:
    """One row per class, the one that loses most first, one column per kind of error; written atomically.

    Args:
        title: what is explained; stands above.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    with style.house_style(SETTINGS):
        figure = style.new_figure(11, 1.5 + ROW * (1 + len(explanation.worst_first())), title, WHAT)
        _losses(figure, explanation, names, title)
    save(figure, path, SETTINGS)


def plot_run(explained: RunExplanation, path: Path) -> None:
    """The losses as in :func:`plot_losses`, and beside them the fates of the old classes; written atomically.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    losses, names, title = explained.losses, explained.names, explained.title
    if not explained.fates:
        plot_losses(losses, names, path, title)
        return
    with style.house_style(SETTINGS):
        rows = max(1 + len(losses.worst_first()), len(explained.rows()))
        figure = style.new_figure(19, 1.5 + ROW * rows, title, WHAT)
        ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(11, 8))
        _losses(left, losses, names, title)
        _fates(right, explained)
    save(figure, path, SETTINGS)


def _losses(figure: FigureBase, explanation: Explanation, names: Mapping[int, str], title: str) -> None:
    """A panel for AP50, then one per kind. Side by side and not stacked: the losses do not add up."""
    rows = explanation.worst_first()
    losses = [explanation.mean, *(explanation.per_class[c] for c in rows)]
    panels = figure.subplots(1, 1 + len(KINDS), sharey=True, squeeze=False)[0]
    columns = [[row.ap50 for row in losses], *([row.dap50[kind] for row in losses] for kind in KINDS)]
    widest = max([1.0, *(value for column in columns[1:] for value in column if value is not None)])
    headings = ["AP50", *(TITLES[kind] for kind in KINDS)]
    for axes, column, heading, colour in zip(panels, columns, headings, (AP_COLOUR, *KIND_COLOURS), strict=True):
        _bars(axes, column, colour)
        axes.set_title(heading, fontsize=8)
        axes.set_xlim(0, 100 if axes is panels[0] else 1.45 * widest)
    _name_rows(panels[0], ["mean of classes", *(names[c] for c in rows)], {0})
    figure.suptitle(f"{title}\n{WHAT}" if title else WHAT)


def _bars(axes: Axes, values: Sequence[float | None], colour: str) -> None:
    lengths = [value or 0.0 for value in values]
    axes.barh(range(len(values)), lengths, height=0.75, color=colour)
    axes.axhline(0.5, color="black", linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    for row, value in enumerate(values):
        if value is None or value >= 0.05:  # a column of zeros would only be in the way
            text = "-" if value is None else f"{value:.1f}"
            _note(axes, text, value or 0.0, row, 2)


def _note(axes: Axes, text: str, x: float, row: int, distance: int) -> None:
    """Small, some points to the right of a bar's end."""
    axes.annotate(text, (x, row), (distance, 0), textcoords="offset points", va="center", fontsize=6)


def _name_rows(axes: Axes, labels: Sequence[str], bold: set[int]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)  # the first row on top
    for row, label in enumerate(axes.get_yticklabels()):
        label.set_fontweight("bold" if row in bold else "normal")


def _fates(figure: FigureBase, explained: RunExplanation) -> None:
    """Stacked shares of the tracks found when the class was new; they add up."""
    rows = explained.rows()
    axes = figure.subplots()
    left = [0.0] * len(rows)
    for name, title in FATES.items():
        shares = [100 * _count(fate, name) / fate.found if fate.found else 0.0 for _, fate, _ in rows]
        axes.barh(range(len(rows)), shares, left=left, height=0.75, color=FATE_COLOURS[name], label=title)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    for row, (_, fate, _) in enumerate(rows):
        text = explained.takers(fate) if fate.found else "none was found"
        _note(axes, text, 100 if fate.found else 0, row, 4)
    labels = [f"{label}  ({fate.found} of {fate.num_gt})" for label, fate, _ in rows]
    _name_rows(axes, labels, {row for row, (_, _, is_sum) in enumerate(rows) if is_sum})
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 180)  # room for the names
    axes.set_xticks(range(0, 101, 25), [f"{x} %" for x in range(0, 101, 25)])
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(FATES), frameon=False)
    what = f"What became, by step {explained.step}, of the tracks found when their class was new (found of annotated)"
    figure.suptitle(f"{explained.title}\n{what}")


def _count(fate: Fate, name: str) -> int:
    value = getattr(fate, name)
    return sum(value.values()) if isinstance(value, dict) else value
