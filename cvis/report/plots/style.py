"""One style for all figures: colours that the colour-blind can tell apart, and never colour alone.

A row of the table has its own colour, marker and dash pattern, the same in every figure of the same runs, so that
curves can still be told apart in grey. Text stays text in SVG and PDF: it can be searched, copied and restyled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from cvis.report.views import Curve, Entry, Tradeoff, entries
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T", Curve, Tradeoff)

COLUMN = 3.35  # inches, the column of a two-column paper
PAGE = 6.9  # inches, its text
LINE = 0.147  # inches, of a legend
LETTER = 0.062  # inches, of a title, on average

# Okabe and Ito's palette: indigo for its yellow, which is lost on white; its black is left to the upper bound
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#332288", "#7F4F24", "#8A8A8A")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
BOUND_COLOUR = "#222222"
BOUND_NOTE = " (upper bound)"
GREY = "#777777"
SEQUENTIAL = "viridis"  # its lightness rises evenly: it can be read in grey, and by the colour-blind
DIVERGING = "PuOr_r"

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cvis",  # equal plots, equal files
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
}


@contextmanager
def house_style(settings: Mapping[Any, Any] = SETTINGS) -> Iterator[None]:
    """Our settings over matplotlib's defaults, whatever the user's own are; also a decorator.

    Of a script that its font lacks, matplotlib draws boxes in PNG and PDF; SVG keeps the text. No warning says so.
    """
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def new_figure(width: float, height: float, title: str, description: str) -> Figure:
    """A figure that can say in words what it shows, for those who do not see it: its label is what is read to them.

    Args:
        width: in inches, as the height.
        title: a few words.
        description: what is on the axes, and the numbers worth saying.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.set_label(f"{title}\n{description}")
    return figure


class Look(NamedTuple):
    """How one row is drawn."""

    colour: str
    marker: str
    dashes: Any


def looks(runs: Sequence[RunResult]) -> dict[str, Look]:
    """What every row is drawn like, by its label: rows of one name look alike in every stream and protocol."""
    labels = dict.fromkeys(entry.label for entry in entries(runs) if not entry.row.upper_bound)
    return {
        label: Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, label in enumerate(labels)
    }


def draw_panels(
    size: tuple[float, float],
    title: str,
    columns: Mapping[str, Sequence[T]],
    described: Iterable[str],
    draw: Callable[[Axes, str, Sequence[T]], None],
) -> Figure:
    """A line of panels per stream and protocol, a panel per column in it, one legend below.

    Args:
        size: width of the figure and height of a line of panels, in inches.
        columns: metric -> its values of all rows.
        described: what a row reaches, in words.
        draw: given a panel, its metric and its values, draws it.
    """
    places = list(dict.fromkeys(value.entry.place for values in columns.values() for value in values))
    description = f"Mean over seeds. {'; '.join(described)}."
    figure = new_figure(size[0], size[1] * len(places), title, description)
    grid = figure.subplots(len(places), len(columns), squeeze=False)
    for line, place in zip(grid, places, strict=True):
        for axes, (metric, values) in zip(line, columns.items(), strict=True):
            shown = [value for value in values if value.entry.place == place]
            draw(axes, metric, shown)
        line[0].set_title(_heading(shown[0].entry, len(places) > 1, size[0]), loc="left")
    legend(figure, grid.flat)
    return figure


def _heading(entry: Entry, several: bool, width: float) -> str:
    """Above the axes of one stream, where a figure has several; says what makes its protocol another.

    Lines end where a figure of that width, in inches, does.
    """
    if not several:
        return ""
    keys = ", ".join(entry.differs)
    other = f" (other {keys})" if len(keys) <= 40 else f" (another protocol: {len(entry.differs)} keys)"
    return fill(f"{entry.scenario}, {entry.segmenter}" + (other if keys else ""), int((width - 0.7) / LETTER))


def legend(figure: Figure, panels: Iterable[Any], handlelength: float = 2.8) -> None:
    """One for all panels, below them: each label once, the upper bound last. The figure grows by its height."""
    handles: dict[str, Any] = {}
    for axes in panels:
        handles.update(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    labels = sorted(handles, key=lambda label: label.endswith(BOUND_NOTE))
    if not labels:
        return
    width, height = figure.get_size_inches()
    fitting = max(1, int(width / (0.3 + 0.1 * handlelength + 0.055 * max(map(len, labels)))))
    rows = -(-len(labels) // fitting)
    figure.set_size_inches(width, height + LINE * rows + 0.05)
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=-(-len(labels) // rows),
        frameon=False,
        borderpad=0,
        borderaxespad=0.3,
        columnspacing=1.4,
        handlelength=handlelength,
    )
