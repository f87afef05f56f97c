"""``cvis report``: the result page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvis.cli.output import examples, status
from cvis.cli.tables import Runs, Strict, demand, finish

EXAMPLES = examples(
    "cvis report runs --out page",
    "cvis report runs/synthetic-20-4 --out page --title 'Synthetic 20-4' --videos 3",
    "cvis report runs --out page --no-videos --with-published",
)


def report(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="The folder to write index.html into.")],
    title: Annotated[str | None, typer.Option(help="The heading of the page.")] = None,
    videos: Annotated[int, typer.Option(min=0, help="Test videos of each stream to show, with all learners.")] = 2,
    no_videos: Annotated[bool, typer.Option("--no-videos", help="Show none: the data set is not needed.")] = False,
    data: Annotated[Path | None, typer.Option(help="The folder of the data set, if it has moved.")] = None,
    with_published: Annotated[
        bool, typer.Option("--with-published", help="Add the numbers that papers printed, in tables of their own.")
    ] = False,
    strict: Strict = False,
) -> None:
    """Write a page with tables, plots, protocol, environment and videos of finished runs.

    One file, index.html, which needs no network and no other file. Without the data set it has no videos.
    """
    from cvis.report import load_runs
    from cvis.report.page.build import TITLE, Options, write_page

    store = load_runs(runs)
    demand(store, bool(store.runs), runs)
    undefined = _undefined({run.learner for run in store.runs}, {run.segmenter for run in store.runs})
    options = Options(title or TITLE, 0 if no_videos else videos, data, with_published, undefined)
    with status("reading") as tell:
        path = write_page(store, out, options, tell)
    typer.echo(path)
    finish(store, strict)


def _undefined(learners: set[str], segmenters: set[str]) -> dict[tuple[str, str], str]:
    """Of several segmenters, which pairs cannot be; only these need the classes, and with them torch."""
    if len(segmenters) < 2:
        return {}
    from cvis.engine.matrix import undefined

    return undefined(sorted(learners), sorted(segmenters))
