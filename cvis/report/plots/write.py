"""The figures of many runs as files: which there are, what they are called, and why one could not be drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cvis.errors import UserError
from cvis.report.plots.output import FORMATS, check_format, save
from cvis.report.plots.plot import Drawing, Plot, file_name, plots
from cvis.report.views import Entry, entries
from cvis.runs.result import RunResult


@dataclass(frozen=True)
class Written:
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
    together = [("", rows)] if is_file else _by_stream(rows)  # streams share the one figure of a file
    drawings = [
        (folder, drawing)
        for folder, those in together
        for plot in chosen
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
    if skipped and not files:
        raise UserError("nothing to draw: " + next(iter(skipped.values())))
    return Written(tuple(files), skipped)


def _checked(kinds: Sequence[str], metrics: Sequence[str], formats: Sequence[str]) -> list[Plot]:
    """The chosen kinds."""
    known = plots()
    for option, asked, offered in (("--kind", kinds, (*known, "all")), ("--format", formats, FORMATS)):
        if unknown := [name for name in asked if name not in offered]:
            raise UserError(f"{option} {unknown[0]}: is none; choose of {', '.join(offered)}")
    chosen = [plot for name, plot in known.items() if not kinds or name in kinds or "all" in kinds]
    offered = tuple(dict.fromkeys(metric for plot in chosen for metric in plot.metrics))
    if unknown := [name for name in metrics if name not in offered]:
        those = f"choose of {', '.join(offered)}" if offered else "these figures have no choice of metrics"
        raise UserError(f"--metric {unknown[0]}: no metric of {', '.join(plot.name for plot in chosen)}; {those}")
    return chosen


def _by_stream(rows: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """A folder for each stream and segmenter, and its rows."""
    for place in dict.fromkeys((row.scenario, row.segmenter) for row in rows):
        folder = "".join(f"{file_name(part)}/" for part in place)
        yield folder, [row for row in rows if (row.scenario, row.segmenter) == place]


def _drawings(plot: Plot, rows: Sequence[Entry], asked: Sequence[str], runs: Sequence[RunResult]) -> Iterator[Drawing]:
    """With the metrics asked for, as far as the kind knows them; none of a kind that has a choice and knows none."""
    metrics = [metric for metric in asked if metric in plot.metrics] if asked else plot.default
    if metrics or not plot.metrics:
        yield from plot.drawings(rows, metrics, runs)
