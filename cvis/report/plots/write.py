"""The figures of many runs as files: which there are, what they are called, and why one could not be drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cvis.errors import UserError
from cvis.evaluation.measures import CLASS_METRICS, STABILITY, STEP_METRICS
from cvis.report.plots.cost import cost
from cvis.report.plots.curves import DEFAULT, curves
from cvis.report.plots.heatmap import class_heatmap
from cvis.report.plots.output import FORMATS, check_format, save
from cvis.report.plots.query_covariance import query_covariance
from cvis.report.plots.query_map import query_map
from cvis.report.plots.style import Plot
from cvis.report.plots.tradeoff import stability_plasticity
from cvis.report.views import Entry, entries
from cvis.runs.find import RunResult
from cvis.runs.queries import FILE

KINDS = ("curves", "heatmap", "tradeoff", "cost", "queries")


@dataclass(frozen=True)
class Written:
    """The files that were written, and the figures that were not: name -> reason."""

    files: tuple[Path, ...]
    skipped: dict[str, str]


class Named(NamedTuple):
    """A figure to be drawn; ``name`` is its path without the end."""

    name: str
    draw: Callable[[], Plot]


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
        kinds: of :data:`KINDS`; default: all.
        metrics: for those kinds that have a choice of them; default: each kind's own.
        formats: of the files in a folder.

    Raises:
        UserError: an unknown kind, metric or format, a file for several figures, or nothing could be drawn.
    """
    chosen = _checked(kinds, metrics, formats)
    is_file = out.suffix.lower().removeprefix(".") in FORMATS and not out.is_dir()
    if out.suffix and not is_file and not out.exists():
        check_format(out)
    figures = list(_together(runs, chosen, metrics) if is_file else _by_stream(runs, chosen, metrics))
    if is_file and len(figures) != 1:
        raise UserError(f"--out {out}: is one file for {len(figures)} figures; give a folder, or choose one by --kind")
    files: list[Path] = []
    skipped: dict[str, str] = {}
    for name, draw in figures:
        try:
            figure = draw()
        except UserError as error:
            skipped[name] = str(error)
            continue
        for path in [out] if is_file else [out / f"{name}.{suffix}" for suffix in dict.fromkeys(formats)]:
            save(figure, path)
            files.append(path)
    if skipped and not files:
        raise UserError("nothing to draw: " + next(iter(skipped.values())))
    return Written(tuple(files), skipped)


def _checked(kinds: Sequence[str], metrics: Sequence[str], formats: Sequence[str]) -> tuple[str, ...]:
    for option, asked, offered in (("--kind", kinds, (*KINDS, "all")), ("--format", formats, FORMATS)):
        if unknown := [name for name in asked if name not in offered]:
            raise UserError(f"{option} {unknown[0]}: is none; choose of {', '.join(offered)}")
    chosen = KINDS if not kinds or "all" in kinds else tuple(dict.fromkeys(kinds))
    by_kind = {"curves": STEP_METRICS, "heatmap": CLASS_METRICS, "tradeoff": STABILITY}
    known = tuple(dict.fromkeys(name for kind in chosen for name in by_kind.get(kind, ())))
    if unknown := [name for name in metrics if name not in known]:
        those = f"choose of {', '.join(known)}" if known else "these figures have no choice of metrics"
        raise UserError(f"--metric {unknown[0]}: no metric of {', '.join(chosen)}; {those}")
    return chosen


def _together(runs: Sequence[RunResult], kinds: Sequence[str], metrics: Sequence[str]) -> Iterator[Named]:
    """Figures for one file: streams share a figure where they can."""
    found = entries(runs)
    yield from _of_streams("", runs, runs, kinds, metrics)
    for entry in found:
        yield from _of_row("", entry, kinds, metrics)
    yield from _without_queries("", found, kinds)


def _by_stream(runs: Sequence[RunResult], kinds: Sequence[str], metrics: Sequence[str]) -> Iterator[Named]:
    found = entries(runs)
    for place in dict.fromkeys((entry.scenario, entry.segmenter) for entry in found):
        folder = "".join(f"{_file_name(part)}/" for part in place)
        rows = [entry for entry in found if (entry.scenario, entry.segmenter) == place]
        yield from _of_streams(folder, [run for row in rows for run in row.runs], runs, kinds, metrics)
        for entry in rows:
            yield from _of_row(folder, entry, kinds, metrics)
        yield from _without_queries(folder, rows, kinds)


def _of_streams(
    folder: str, runs: Sequence[RunResult], among: Sequence[RunResult], kinds: Sequence[str], metrics: Sequence[str]
) -> Iterator[Named]:
    if "curves" in kinds:
        chosen = [m for m in metrics if m in STEP_METRICS]
        if chosen or not metrics:
            yield Named(f"{folder}curves", partial(curves, runs, chosen or DEFAULT, among))
    if "tradeoff" in kinds:
        for measure in _chosen(metrics, STABILITY):
            name = "tradeoff" if measure == STABILITY[0] else f"tradeoff-{measure}"
            yield Named(f"{folder}{name}", partial(stability_plasticity, runs, measure, among))
    if "cost" in kinds:
        yield Named(f"{folder}cost", partial(cost, runs, among))


def _of_row(folder: str, entry: Entry, kinds: Sequence[str], metrics: Sequence[str]) -> Iterator[Named]:
    """A row's figures. The queries are those of its first seed that keeps them: a mean over seeds has no sense."""
    row = _file_name("-".join([entry.row.learner, *([entry.row.note] if entry.row.text_encoder else [])]))
    row += f"-protocol{entry.block + 1}" if entry.block else ""
    if "heatmap" in kinds:
        for metric in _chosen(metrics, CLASS_METRICS):
            name = f"heatmap-{row}" if metric == CLASS_METRICS[0] else f"heatmap-{row}-{metric}"
            yield Named(f"{folder}{name}", partial(class_heatmap, entry.runs, metric, entry.label))
    run = next((run for run in entry.runs if (run.path / FILE).is_file()), None)
    if "queries" in kinds and run is not None:
        label = f"{entry.label}, seed {run.seed}"
        yield Named(f"{folder}query-map-{row}", partial(query_map, run.path, label))
        yield Named(f"{folder}query-covariance-{row}", partial(query_covariance, run.path, label))


def _without_queries(folder: str, rows: Sequence[Entry], kinds: Sequence[str]) -> Iterator[Named]:
    """One word for all rows whose runs keep none."""
    lacking = [row.label for row in rows if not any((run.path / FILE).is_file() for run in row.runs)]

    def refuse() -> Plot:
        raise UserError(
            f"no {FILE} in the runs of {', '.join(lacking)}: they are older than the file; run the same "
            "`cvis run` in another folder"
        )

    if "queries" in kinds and lacking:
        yield Named(f"{folder}query-map, query-covariance", refuse)


def _chosen(metrics: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    """Those asked for that this kind knows; its first where nothing was asked."""
    return [m for m in metrics if m in known] if metrics else known[:1]


def _file_name(text: str) -> str:
    """What comes from a file names no folder of its own.

    >>> _file_name("../a b/crisp [x]")
    'a-b-crisp-x'
    """
    return re.sub(r"[^\w.+]+", "-", text).strip("-.") or "unnamed"
