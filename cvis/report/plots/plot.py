"""What the module of a kind of figure declares, and how all kinds are found: a new one is one file in this folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from cvis.discovery import declared
from cvis.report.views import Entry
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """One figure that could be drawn.

    Attributes:
        name: of its file, without folder and end.
        draw: the figure; raises UserError where the runs lack what it shows.
        caption: below it on the result page.
        wide: on the result page it has a line of its own.
    """

    name: str
    draw: Callable[[], Figure]
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Plot:
    """A kind of figure: a module declares it as ``PLOT``, and needs to be named nowhere else.

    Attributes:
        name: for ``--kind``.
        help: what it shows, in a line.
        drawings: (rows of one stream, metrics, all runs of the set) -> its figures. A row looks alike in all figures
            of a set.
        metrics: of which a user may choose; empty where there is no choice.
        default: those drawn where nothing was chosen.
        section: of the result page. ``queries`` asks for the drawings row by row, ``models`` with those of all
            segmenters of a stream, here as everywhere.
    """

    name: str
    help: str
    drawings: Callable[[Sequence[Entry], Sequence[str], Sequence[RunResult]], Iterable[Drawing]]
    metrics: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    section: Literal["", "results", "steps", "queries", "models"] = ""


def plots() -> dict[str, Plot]:
    """Every kind of figure by its name, in alphabetical order; does not load matplotlib."""
    kinds = declared("cvis.report.plots", "PLOT").values()
    return {plot.name: plot for plot in sorted(kinds, key=lambda plot: plot.name)}


def runs_of(rows: Iterable[Entry]) -> list[RunResult]:
    return [run for row in rows for run in row.runs]


def row_file_name(entry: Entry) -> str:
    """A row's part in the name of a file: its learner, and what sets it apart from others of the learner."""
    encoder = [entry.row.note] if entry.row.text_encoder else []
    protocol = f"-protocol{entry.block + 1}" if entry.block else ""
    return file_name("-".join([entry.row.learner, *encoder])) + protocol


def file_name(text: str) -> str:
    """What comes from a file names no folder of its own.

    >>> file_name("../a b/crisp [x]")
    'a-b-crisp-x'
    """
    return re.sub(r"[^\w.+]+", "-", text).strip("-.") or "unnamed"
