"""From finished runs to the values of the page, one panel per stream and segmenter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from markupsafe import Markup

from cvis import __version__
from cvis.atomic import write_text
from cvis.errors import UserError
from cvis.evaluation.measures import MEASURES, METRICS
from cvis.report.matrix import Pair
from cvis.report.page.facts import environments, protocol_facts, read_record, run_table, settings, stream
from cvis.report.page.render import check_place, render
from cvis.report.page.results import class_option, matrix_options, result_tables, step_options
from cvis.report.page.values import Fact, Facts, Figure, Models, Option, Page, Panel
from cvis.report.page.videos import BUDGET, make_videos
from cvis.report.plots.output import inline_svg
from cvis.report.plots.plot import plots, runs_of
from cvis.report.published import PublishedTable, load_published, with_published
from cvis.report.rows import Block, Group
from cvis.report.table import comparison
from cvis.report.views import Entry, entries
from cvis.runs.find import Store
from cvis.runs.protocol import describe

TITLE = "Continual video instance segmentation"
Report = Callable[[str], None]
"""Told what is being made, for a progress line."""


@dataclass(frozen=True)
class Options:
    """What the page holds beside the numbers."""

    title: str = TITLE
    videos: int = 2  # test videos per stream; 0: none
    data: Path | None = None  # the folder of the data set, if it is not where the runs found it
    with_published: bool = False
    undefined: Mapping[Pair, str] = field(default_factory=dict)  # pairs that cannot be run, and why


def write_page(store: Store, folder: Path, options: Options, report: Report = lambda text: None) -> Path:
    """Write ``folder/index.html``, complete and self-contained; an older page of ours is replaced.

    Raises:
        UserError: a foreign file stands in its place, or it cannot be written.
    """
    path = folder / "index.html"
    check_place(path)
    write_text(path, render(build(store, options, report)))
    return path


def build(store: Store, options: Options, report: Report = lambda text: None) -> Page:
    """Everything the page shows, as values."""
    published = load_published() if options.with_published else ()
    groups = sorted(comparison(store.runs), key=_telling)
    panels = []
    for group, (id, name) in zip(groups, _names(groups), strict=True):
        report(name)
        panels.append(_panel(group, store, published, options, id, name, BUDGET // len(groups)))
    return Page(
        title=options.title,
        summary=_summary(store, groups),
        version=__version__,
        panels=tuple(panels),
        models=tuple(_models(name, store, options.undefined) for name in _with_several(groups)),
        left_out=tuple((str(item.path), item.reason) for item in store.left_out),
        glossary=tuple(Fact(MEASURES[name].heading, MEASURES[name].meaning) for name in METRICS),
    )


def _with_several(groups: Sequence[Group]) -> list[str]:
    """Streams that more than one segmenter was run on."""
    counts = Counter(group.scenario for group in groups)
    return [scenario for scenario, count in counts.items() if count > 1]


def _models(scenario: str, store: Store, undefined: Mapping[Pair, str]) -> Models:
    runs = [run for run in store.runs if run.scenario == scenario]
    id = f"models-{_slug(scenario)}"
    return Models(id, scenario, matrix_options(runs, undefined, id), _figures("models", entries(runs), f"{id}-figures"))


def _telling(group: Group) -> tuple[int, int]:
    """What sorts the stream first that most can be learned from: many rows to compare, then many runs."""
    rows = [row for block in group.blocks for row in block.rows]
    return -max(len(block.rows) for block in group.blocks), -sum(row.n for row in rows)


def _panel(
    group: Group, store: Store, published: Sequence[PublishedTable], options: Options, id: str, name: str, budget: int
) -> Panel:
    of_group = [run for run in store.runs if (run.scenario, run.segmenter) == (group.scenario, group.segmenter)]
    runs = sorted(of_group, key=lambda run: (run.upper_bound, run.method, run.seed))
    records = {run.path: read_record(run.path) for run in runs}
    rows = [_named(row) for row in entries(runs)]
    tabled = with_published([group], published) if published else [group]
    tabled.sort(key=lambda part: part.segmenter != group.segmenter)  # ours first
    videos, notes = make_videos(rows, options.videos, options.data, budget) if options.videos else ((), ())
    queries = {i: _figures("queries", [row], f"{id}-query-{i}") for i, row in enumerate(rows)}
    return Panel(
        id=id,
        title=name,
        scenario=group.scenario,
        segmenter=group.segmenter,
        results=tuple(table for i, part in enumerate(tabled) for table in result_tables(part, f"{id}-{i}")),
        curves=_figures("steps", rows, f"{id}-curves"),
        steps=step_options(runs, published, id),
        figures=_figures("results", rows, f"{id}-figures"),
        classes=tuple(class_option(row.label, row.runs, f"{id}-class-{i}") for i, row in enumerate(rows)),
        queries=tuple(Option(f"{id}-query-{i}", rows[i].label, (), drawn) for i, drawn in queries.items() if drawn),
        videos=videos,
        stream=max((stream(run) for run in runs), key=len),
        protocols=tuple(_protocol(block, i) for i, block in enumerate(group.blocks)),
        runs=run_table(runs, records, id),
        settings=tuple(s for row in rows if (s := settings(row.label, records[row.runs[0].path]))),
        environments=environments(runs, records),
        notes=notes,
    )


def _figures(section: str, rows: Sequence[Entry], prefix: str) -> tuple[Figure, ...]:
    """What can be drawn of these rows for a section of the page, the narrow ones first: they share a line."""
    offered = [plot for plot in plots().values() if plot.section == section]
    drawings = [drawing for plot in offered for drawing in plot.drawings(rows, plot.default, runs_of(rows))]
    drawn = []
    for i, drawing in enumerate(sorted(drawings, key=lambda drawing: drawing.wide)):
        try:
            figure = drawing.draw()
        except UserError:  # a stream of one step has no curve, and an old run no sizes
            continue
        drawn.append(Figure(drawing.caption, Markup(inline_svg(figure, f"{prefix}-{i}")), drawing.wide))
    return tuple(drawn)


def _named(row: Entry) -> Entry:
    """A row as it is called where no table stands around it: one of another protocol says so."""
    if not row.differs:
        return row
    return replace(row, row=replace(row.row, label=f"{row.label}, other protocol {row.block}", note=""))


def _protocol(block: Block, index: int) -> Facts:
    rows = ", ".join(row.name for row in block.rows)
    if not index:
        return Facts(f"Of {rows}", protocol_facts(block.protocol))
    note = f"Differs from the first: {describe(block.differs, limit=100)}."
    return Facts(f"Other protocol {index}, of {rows}", protocol_facts(block.protocol), note)


def _names(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Of each group an id for links, unique and harmless, and the name that the switch shows."""
    scenarios = [group.scenario for group in groups]
    names: dict[str, str] = {}
    for group in groups:
        alone = scenarios.count(group.scenario) == 1
        name = group.scenario if alone else f"{group.scenario} · {group.segmenter}"
        id = _slug(name)
        while id in names:
            id += "-2"
        names[id] = name
    return list(names.items())


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "stream"


def _summary(store: Store, groups: Sequence[Group]) -> str:
    learners = {row.name for group in groups for block in group.blocks for row in block.rows}
    counts = [(len({g.scenario for g in groups}), "stream"), (len(learners), "learner"), (len(store.runs), "run")]
    size = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts)
    return f"{size}. Classes arrive step by step; the model must learn the new ones and keep the old."
