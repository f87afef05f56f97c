"""What is in a data set, as a picture: tracks and sizes of each class, lengths, and which classes come together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvis.data.stats import ClassStats, Stats
from cvis.report.plots.output import save
from cvis.report.plots.style import COLOURS, PAGE, SEQUENTIAL, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.16  # inches
_SIZES = ("small", "medium", "large")
_MOST_BARS = 15
_MOST_NUMBERS = 40  # classes; of more, the numbers in the map could not be read


def plot_stats(stats: Stats, path: Path, title: str) -> None:
    """Three panels: tracks of each class by size, videos by length, and videos that show two classes; atomic.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    order = [i for i in np.argsort([-of.tracks for of in stats.classes], kind="stable") if stats.classes[i].tracks]
    classes = [stats.classes[i] for i in order]
    together = np.array([[stats.together[i][j] for j in order] for i in order], float).reshape(len(order), -1)
    most = ", ".join(f"{of.name} {of.tracks}" for of in classes[:5])
    with house_style():
        height = max(2.6, 1.4 + ROW * len(classes))
        figure = new_figure(1.6 * PAGE, height, title, f"{stats.videos} videos. Tracks of the largest classes: {most}.")
        tracks, lengths, map_ = figure.subplots(1, 3, width_ratios=(1.2, 0.8, 1.4))
        _tracks(tracks, classes)
        _lengths(lengths, stats)
        _together(map_, together, [of.name for of in classes])
        figure.suptitle(f"{title}: {stats.videos} videos, {stats.frames} frames", fontsize=8)
    save(figure, path)


def _tracks(axes: Axes, classes: list[ClassStats]) -> None:
    rows = np.arange(len(classes))
    left = np.zeros(len(classes))
    for n, size in enumerate(_SIZES):
        numbers = np.array([of.sizes[n] for of in classes], float)
        axes.barh(rows, numbers, left=left, height=0.75, color=COLOURS[n], label=size)
        left += numbers
    axes.set_yticks(rows, [of.name for of in classes], fontsize=6)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlabel("tracks")
    axes.grid(axis="x")
    axes.legend(frameon=False, fontsize=6)


def _lengths(axes: Axes, stats: Stats) -> None:
    from matplotlib.ticker import MaxNLocator  # loaded only to draw

    values, weights = list(stats.lengths), list(stats.lengths.values())
    if len(values) <= _MOST_BARS:
        axes.bar(range(len(values)), weights, color=COLOURS[0])
        axes.set_xticks(range(len(values)), [str(value) for value in values])
    else:
        axes.hist(values, bins=_MOST_BARS, weights=weights, color=COLOURS[0], rwidth=0.9)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("frames of a video")
    axes.set_ylabel("videos")
    axes.grid(axis="y")


def _together(axes: Axes, together: np.ndarray, names: list[str]) -> None:
    shown = np.where((together > 0) & ~np.eye(len(names), dtype=bool), together, np.nan)
    most = max(np.nanmax(shown, initial=0), 1)
    axes.set_facecolor("#F2F2F2")
    axes.imshow(shown, cmap=SEQUENTIAL, vmin=0, vmax=most, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.tick_params(length=0)
    axes.set_title("videos that show both classes")
    if len(names) > _MOST_NUMBERS:
        return
    for (i, j), value in np.ndenumerate(shown):
        if value > 0:
            dark = value < 0.6 * most
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=5.5, color="w" if dark else "k")
