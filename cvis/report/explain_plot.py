"""Plots of where AP is lost and where the forgotten AP went; vector text stays text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvis.evaluation.error_kinds import KINDS
from cvis.evaluation.explain import Explanation, Losses
from cvis.report.explain_run import RunExplanation
from cvis.report.plots.output import check_format, save
from cvis.report.plots.style import house_style, new_figure

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
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text as text: it can be searched, and its font changed
    "svg.hashsalt": "cvis",  # equal plots, equal files
    "pdf.fonttype": 42,
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def plot_losses(explanation: Explanation, names: Mapping[int, str], path: Path, title: str = "") -> None:
    """One row per class, the one that loses most first, one column per kind of error; written atomically.

    Args:
        title: what is explained; stands above.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    check_format(path, "--plot")
    rows = explanation.worst_first()
    with house_style(SETTINGS):
        figure = new_figure(11, _height(len(rows) + 1), title, WHAT)
        _losses(figure, explanation, rows, names, title)
    save(figure, path, SETTINGS)


def plot_run(explained: RunExplanation, path: Path) -> None:
    """The losses as in :func:`plot_losses`, and beside them the fates of the old classes; written atomically.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    if not explained.fates:
        plot_losses(explained.losses, explained.names, path, explained.title)
        return
    check_format(path, "--plot")
    rows = explained.losses.worst_first()
    bars = explained.rows()
    with house_style(SETTINGS):
        figure = new_figure(19, _height(max(len(rows) + 1, len(bars))), explained.title, WHAT)
        ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(11, 8))
        _losses(left, explained.losses, rows, explained.names, explained.title)
        _fates(right, bars, explained)
    save(figure, path, SETTINGS)


def _height(rows: int) -> float:
    return 1.5 + ROW * rows


def _losses(
    figure: FigureBase, explanation: Explanation, rows: Sequence[int], names: Mapping[int, str], title: str
) -> None:
    """A panel for AP50, then one per kind. Side by side and not stacked: the losses do not add up."""
    losses: list[Losses] = [explanation.mean, *(explanation.per_class[c] for c in rows)]
    labels = ["mean of classes", *(names[c] for c in rows)]
    panels = figure.subplots(1, 1 + len(KINDS), sharey=True, squeeze=False)[0]
    columns = [[row.ap50 for row in losses], *([row.dap50[kind] for row in losses] for kind in KINDS)]
    widest = max([1.0, *(value for column in columns[1:] for value in column if value is not None)])
    headings = ["AP50", *(TITLES[kind] for kind in KINDS)]
    for axes, column, heading, colour in zip(panels, columns, headings, (AP_COLOUR, *KIND_COLOURS), strict=True):
        _bars(axes, column, colour)
        axes.set_title(heading, fontsize=8)
        axes.set_xlim(0, 100 if axes is panels[0] else 1.45 * widest)
    _name_rows(panels[0], labels, {0})
    figure.suptitle(f"{title}\n{WHAT}" if title else WHAT)


def _bars(axes: Axes, values: Sequence[float | None], colour: str) -> None:
    lengths = [value or 0.0 for value in values]
    axes.barh(range(len(values)), lengths, height=0.75, color=colour)
    axes.axhline(0.5, color="black", linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    for row, value in enumerate(values):
        if value is None or value >= 0.05:  # a column of zeros would only be in the way
            text = "-" if value is None else f"{value:.1f}"
            axes.annotate(text, (value or 0.0, row), (2, 0), textcoords="offset points", va="center", fontsize=6)


def _name_rows(axes: Axes, labels: Sequence[str], bold: set[int]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)  # the first row on top
    for row, label in enumerate(axes.get_yticklabels()):
        label.set_fontweight("bold" if row in bold else "normal")


def _fates(figure: FigureBase, rows: Sequence[tuple[str, Fate, bool]], explained: RunExplanation) -> None:
    """Stacked shares of the tracks found when the class was new; they add up."""
    axes = figure.subplots()
    left = [0.0] * len(rows)
    for name, title in FATES.items():
        shares = [100 * _count(fate, name) / fate.found if fate.found else 0.0 for _, fate, _ in rows]
        axes.barh(range(len(rows)), shares, left=left, height=0.75, color=FATE_COLOURS[name], label=title)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    for row, (_, fate, _) in enumerate(rows):
        text = explained.takers(fate) if fate.found else "none was found"
        axes.annotate(
            text, (100 if fate.found else 0, row), (4, 0), textcoords="offset points", va="center", fontsize=6
        )
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
