"""Figures become files, or a part of a page: equal figures, equal bytes; and why one could not be drawn."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cvis.atomic import atomic_path
from cvis.errors import UserError, did_you_mean
from cvis.report.plots.plot import Drawing, Plot, file_name, plots
from cvis.report.plots.style import SETTINGS, house_style
from cvis.report.views import Entry, entries
from cvis.runs.result import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "pdf", "png")
DPI = 150
UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}

ID = re.compile(r'\b(id="|href="#|url\(#)')
HEAD = re.compile(r"^.*?<svg[^>]*>", re.DOTALL)
VIEW_BOX = re.compile(r'viewBox="([^"]*)"')
METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def check_format(path: Path, option: str = "") -> str:
    """The format that a file's name asks for, before work is done.

    Args:
        option: that gave the path, for the error.

    Raises:
        UserError: its name ends in none of the formats.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UserError(
            f"{f'{option} {path}'.strip()}: {path.suffix!r}: not a format; end the name in .svg, .pdf or .png"
        )
    return kind


def save(figure: Figure, path: Path | str, settings: Mapping[Any, Any] = SETTINGS) -> None:
    """Write a figure as SVG, PDF or PNG (150 dpi), by the end of the name; atomic, without a date.

    Args:
        settings: of matplotlib, those that the figure was drawn with.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    kind = check_format(Path(path))
    with house_style(settings), atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=DPI, metadata=UNDATED.get(kind))


def inline_svg(figure: Figure, prefix: str) -> str:
    """A figure as an ``<svg>`` element for an HTML page, as wide as its place.

    It has a title and a description for screen readers, and no id that another figure of the page could have.

    Args:
        prefix: of its ids.
    """
    buffer = io.StringIO()
    with house_style():
        figure.savefig(buffer, format="svg", metadata=UNDATED["svg"])
    text = METADATA.sub("", buffer.getvalue())
    view = VIEW_BOX.search(text)
    title, _, description = html.escape(str(figure.get_label())).partition("\n")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view.group(1) if view else ""}" width="100%" role="img" '
        f'aria-labelledby="{prefix}-title {prefix}-desc">'
        f'<title id="{prefix}-title">{title}</title><desc id="{prefix}-desc">{description}</desc>'
    )
    return head + ID.sub(rf"\g<1>{prefix}-", HEAD.sub("", text, count=1)).rstrip()


class Written(NamedTuple):
    """The files that were written, and the figures that were not: name -> reason."""

    files: tuple[Path, ...]
    skipped: dict[str, str]


def write_plots(
    runs: Sequence[RunResult],
    out: Path,
    kinds: Sequence[str] = (),
    metrics: Sequence[str] = (),
    formats: Sequence[str] = ("svg", "pdf"),
) -> Written:
    """Draw figures of finished runs.

    Args:
        out: a folder, in which each stream and segmenter has its own; or a file, for a single figure, whose name ends
            in its format.
        kinds: names of :func:`plots`; default: all.
        metrics: for those kinds that have a choice of them; default: each kind's own.
        formats: of the files in a folder.

    Raises:
        UserError: an unknown kind, metric or format, a file for several figures, or nothing could be drawn.
    """
    chosen = _checked(kinds, metrics, formats)
    is_file = out.suffix.lower().removeprefix(".") in FORMATS and not out.is_dir()
    if out.suffix and not is_file and not out.exists():
        check_format(out)
    rows = entries(runs)
    drawings = [
        (folder, drawing)
        for across in (False, True)
        for folder, those in ([("", rows)] if is_file and not across else _by_stream(rows, across))
        for plot in chosen  # streams share the one figure of a file, but for a matrix of learners
        if (plot.section == "models") is across
        for drawing in _drawings(plot, those, metrics, runs)
    ]
    if is_file and len(drawings) != 1:
        raise UserError(f"--out {out}: is one file for {len(drawings)} figures; give a folder, or choose one by --kind")
    files: list[Path] = []
    skipped: dict[str, str] = {}
    for folder, drawing in drawings:
        try:
            figure = drawing.draw()
        except UserError as error:
            skipped[f"{folder}{drawing.name}"] = str(error)
            continue
        for path in [out] if is_file else [out / f"{folder}{drawing.name}.{end}" for end in dict.fromkeys(formats)]:
            save(figure, path)
            files.append(path)
    if not files:
        kinds_said = ", ".join(plot.name for plot in chosen)
        raise UserError("nothing to draw: " + next(iter(skipped.values()), f"these runs have nothing for {kinds_said}"))
    return Written(tuple(files), skipped)


def _checked(kinds: Sequence[str], metrics: Sequence[str], formats: Sequence[str]) -> list[Plot]:
    """The chosen kinds."""
    known = plots()
    for option, asked, offered in (("--kind", kinds, (*known, "all")), ("--format", formats, FORMATS)):
        if unknown := [name for name in asked if name not in offered]:
            raise UserError(f"{option} {unknown[0]}: is none; {did_you_mean(unknown[0], offered)}")
    chosen = [plot for name, plot in known.items() if not kinds or name in kinds or "all" in kinds]
    offered = tuple(dict.fromkeys(metric for plot in chosen for metric in plot.metrics))
    if unknown := [name for name in metrics if name not in offered]:
        those = did_you_mean(unknown[0], offered) if offered else "these figures have no choice of metrics"
        raise UserError(f"--metric {unknown[0]}: no metric of {', '.join(plot.name for plot in chosen)}; {those}")
    return chosen


def _by_stream(rows: Sequence[Entry], across: bool) -> Iterator[tuple[str, list[Entry]]]:
    """A folder for each stream and segmenter, or ``across`` these for each stream, and its rows."""
    places = [(row.scenario,) if across else (row.scenario, row.segmenter) for row in rows]
    for place in dict.fromkeys(places):
        folder = "".join(f"{file_name(part)}/" for part in place)
        yield folder, [row for row, its in zip(rows, places, strict=True) if its == place]


def _drawings(plot: Plot, rows: Sequence[Entry], asked: Sequence[str], runs: Sequence[RunResult]) -> Iterator[Drawing]:
    """With the metrics asked for, as far as the kind knows them; none of a kind that has a choice and knows none."""
    metrics = [metric for metric in asked if metric in plot.metrics] if asked else plot.default
    if metrics or not plot.metrics:
        yield from plot.drawings(rows, metrics, runs)
