"""How sure a result table is about other test videos: intervals of its numbers, their differences and its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cvis.evaluation.bootstrap import interval, mean_over, video_weights, weighted_values
from cvis.evaluation.continual import APMatrix
from cvis.evaluation.measures import MEASURES
from cvis.evaluation.protocol import METRICS as OFFICIAL
from cvis.report.rows import Block, Group, OverVideos, Row
from cvis.runs.digests import step_digests
from cvis.runs.result import RunResult

DRAWS = 1000
Tell = Callable[[str], None]
"""Told which run is being read."""
Drawn = Mapping[str, np.ndarray]
"""Metric -> its value as it is, then in each draw [1 + draws]."""


def with_videos(
    groups: Sequence[Group], runs: Sequence[RunResult], draws: int = DRAWS, tell: Tell = lambda name: None
) -> list[Group]:
    """The groups with what their rows would be on other test videos; of papers' rows nothing is known.

    All rows of a block see the same draws. A row's number in a draw is the mean over its seeds, which are not drawn:
    the deviation beside a mean tells of those.

    Args:
        groups: result tables, with a baseline or without.
        runs: of which their rows are made.

    Raises:
        UserError: what a run predicted is missing or damaged.
    """
    by_id = {run.run_id: run for run in runs}

    def of_row(row: Row, columns: Sequence[str]) -> dict[int, Drawn]:
        values = {}
        for seed, run_id in zip(row.seeds, row.run_ids, strict=True):
            tell(f"drawing test videos: {row.name}, seed {seed}")
            values[seed] = run_values(by_id[run_id], columns, draws)
        return values

    def of_block(block: Block, columns: Sequence[str]) -> Block:
        if block.source != "ours":
            return block
        return _of_block(block, columns, [of_row(row, columns) for row in block.rows])

    return [replace(g, blocks=tuple(of_block(b, g.columns) for b in g.blocks)) for g in groups]


def run_values(run: RunResult, metrics: Sequence[str], draws: int) -> Drawn:
    """Metrics of a run under draws of the test videos: the same draws for all runs on one test set.

    Args:
        metrics: of :data:`cvis.evaluation.measures.MEASURES`; those against joint training are left out.

    Returns:
        NaN where a metric is undefined.
    """
    continual = {name: of for name in metrics if (of := MEASURES[name].of)}
    last = len(run.steps) - 1
    digests = step_digests(run.path, range(last + 1) if continual else [last])
    final = digests[-1]
    weights = video_weights(len(final.videos), draws)
    classes = final.classes.tolist()
    groups = {
        "mAP_all": classes,
        "mAP_seen": [c for group in run.learned for c in group],
        "mAP_base": run.groups[0],
        "mAP_old": [c for group in run.learned[:-1] for c in group],
        "mAP_new": run.learned[-1],
    }
    official = {name: weighted_values(final, weights, name) for name in {"mAP", *metrics} & OFFICIAL.keys()}
    values = {name: mean_over(official[name], range(len(classes))) for name in official}
    for name in groups.keys() & set(metrics):
        values[name] = mean_over(official["mAP"], [classes.index(c) for c in groups[name]])
    if continual:
        along = [*(weighted_values(digest, weights) for digest in digests[:-1]), official["mAP"]]
        matrices = [
            APMatrix(run.learned, tuple(dict(zip(classes, step[draw].tolist(), strict=True)) for step in along))
            for draw in range(len(weights))
        ]
        for name, of in continual.items():
            found = [of(matrix) for matrix in matrices]
            values[name] = np.array([np.nan if value is None else value for value in found])
    return values


def _of_block(block: Block, columns: Sequence[str], values: Sequence[Mapping[int, Drawn]]) -> Block:
    """``values``: of each row, seed -> its numbers."""
    means = [_mean(list(seeds.values()), columns) for seeds in values]
    places = _places(block.rows, [mean.get(columns[0]) for mean in means], columns[0])
    baseline = next((seeds for row, seeds in zip(block.rows, values, strict=True) if row is block.baseline), {})
    rows = []
    for row, seeds, mean, place in zip(block.rows, values, means, places, strict=True):
        paired = sorted(seeds.keys() & baseline.keys()) if row is not block.baseline else []
        mine, theirs = (_mean([of[seed] for seed in paired], columns) for of in (seeds, baseline))
        gains = {name: interval(mine[name] - theirs[name]) for name in mine}
        rows.append(replace(row, over_videos=OverVideos({n: interval(v) for n, v in mean.items()}, gains, place)))
    return replace(block, rows=tuple(rows))


def _mean(seeds: Sequence[Drawn], columns: Sequence[str]) -> Drawn:
    """Over seeds, of the metrics that are there."""
    known = [name for name in columns if seeds and name in seeds[0]]
    return {name: np.mean([drawn[name] for drawn in seeds], axis=0) for name in known}


def _places(rows: Sequence[Row], values: Sequence[np.ndarray | None], metric: str) -> list[tuple[int, int] | None]:
    """The 95 % interval of each row's place by a metric; an upper bound has none."""
    known = [i for i, row in enumerate(rows) if not row.upper_bound and values[i] is not None]
    places: list[tuple[int, int] | None] = [None] * len(rows)
    if len(known) > 1:
        drawn = np.array([values[i] for i in known])[:, 1:]  # [rows, draws]
        better = drawn[:, None] < drawn if MEASURES[metric].direction == "higher" else drawn[:, None] > drawn
        found = 1 + better.sum(axis=1)
        for i, own in zip(known, found, strict=True):
            low, high = np.quantile(own, [0.025, 0.975], method="nearest")
            places[i] = int(low), int(high)
    return places
