"""The plots of the page, as SVG in the text of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from markupsafe import Markup

from cvis.errors import UserError
from cvis.report.page.values import Figure, Option
from cvis.report.plots import (
    Plot,
    cost,
    curves,
    inline_svg,
    query_covariance,
    query_map,
    stability_plasticity,
)
from cvis.runs.find import RunResult
from cvis.runs.queries import FILE

Draw = Callable[[], Plot]


def step_figures(runs: Sequence[RunResult], prefix: str) -> tuple[Figure, ...]:
    """How precision and recall go along the stream."""
    draw = partial(curves, runs)
    caption = "mAP and AR1 over all classes, those to come included; the band is the deviation over seeds."
    return _drawn([(draw, caption, True)], f"{prefix}-curves")


def result_figures(runs: Sequence[RunResult], prefix: str) -> tuple[Figure, ...]:
    """What each learner keeps against what it learns, and at what cost."""
    wanted: list[tuple[Draw, str, bool]] = [
        (partial(stability_plasticity, runs), "What is kept against what is learned: up and right is better.", False),
        (partial(cost, runs), "Parameters and training time of each step, on logarithmic scales.", True),
    ]
    return _drawn(wanted, f"{prefix}-figures")


def query_option(name: str, runs: Sequence[RunResult], id: str) -> Option | None:
    """The queries of a row's first seed that has stored them; None where none has."""
    run = next((run for run in runs if (run.path / FILE).is_file()), None)
    if run is None:
        return None
    label = f"{name}, seed {run.seed}"
    wanted: list[tuple[Draw, str, bool]] = [
        (
            partial(query_map, run.path, label),
            "t-SNE map of the query embeddings.",
            False,
        ),
        (partial(query_covariance, run.path, label), "Cosine of every pair of queries, ordered by step.", False),
    ]
    figures = _drawn(wanted, id)
    return Option(id, name, (), figures) if figures else None


def _drawn(wanted: Sequence[tuple[Draw, str, bool]], prefix: str) -> tuple[Figure, ...]:
    """Those that can be drawn: a stream of one step has no curve, and an old run no sizes."""
    figures = []
    for i, (draw, caption, wide) in enumerate(wanted):
        try:
            plot = draw()
        except UserError:
            continue
        figures.append(Figure(caption, Markup(inline_svg(plot, f"{prefix}-{i}")), wide))
    return tuple(figures)
