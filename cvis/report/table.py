"""From finished runs to the rows of a result table: seeds become mean and deviation, protocols stay apart.

Two rows may stand in one block, and be ranked against each other, only if scenario, segmenter and every
protocol key are equal. Rows under another protocol get a block of their own that names the differing keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any, TypeVar

from cvis.errors import UserError, did_you_mean
from cvis.evaluation.measures import COLUMNS, MEASURES, METRICS, STEP_METRICS
from cvis.report.rows import Block, Group, Row, Statistic, printed
from cvis.runs.protocol import differences, signature
from cvis.runs.result import RunResult

Key = TypeVar("Key", bound=Hashable)
Cells = Callable[[Sequence[RunResult]], dict[str, Statistic]]
"""The numbers of a row, from the runs of its seeds."""


def comparison(runs: Sequence[RunResult], metrics: Sequence[str] = ()) -> list[Group]:
    """The result table: one row per learner and protocol, ``final`` metrics and those of the last step.

    Raises:
        UserError: an unknown metric, or damaged numbers of a class where they are needed.
    """
    columns = _known(metrics, METRICS) or COLUMNS
    joint = {_condition(run): run for run in reversed(runs) if run.upper_bound}

    def cells(seeds: Sequence[RunResult]) -> dict[str, Statistic]:
        return {name: _statistic((run.seed, _value(run, name, joint)) for run in seeds) for name in columns}

    better = {name: MEASURES[name].direction for name in columns}
    return [_group(same, columns, cells, better) for same in _streams(runs)]


def per_step(runs: Sequence[RunResult], metric: str = "mAP_all") -> list[Group]:
    """How one metric moves along the stream: a column per step. An upper bound stands at the last step.

    Raises:
        UserError: an unknown metric.
    """
    _known([metric], STEP_METRICS)
    groups = []
    for same in _streams(runs):
        columns = tuple(f"step {i}" for i in range(max(len(run.steps) for run in same)))

        def cells(seeds: Sequence[RunResult], columns: tuple[str, ...] = columns) -> dict[str, Statistic]:
            return {
                step: _statistic((run.seed, _at_step(run, i, len(columns), metric)) for run in seeds)
                for i, step in enumerate(columns)
            }

        groups.append(_group(same, columns, cells, dict.fromkeys(columns, "higher"), metric))
    return groups


def ranked(rows: Sequence[Row], better: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows with the ranks of their cells: 1 the best mean of a column, 2 the second, 0 all others.

    Means that print alike share a rank, and the next other one is the second: a difference that no reader can see
    decides nothing. No rank have an upper bound, a number without another to compare it with, a number of ours of one
    seed, which may be chance, and zeros that several rows share: nothing kept, or nothing to lose.

    Args:
        better: column -> ``higher`` or ``lower``.
    """
    cells = [dict(row.cells) for row in rows]
    for column, direction in better.items():
        means = {
            i: float(printed(mean))
            for i, row in enumerate(rows)
            if not row.upper_bound and (mean := row.cells[column].mean) is not None
            if row.source == "paper" or row.cells[column].n > 1
        }
        at_zero = list(means.values()).count(0) > 1
        best = sorted(set(means.values()), reverse=direction == "higher")[:2]
        for i, mean in means.items():
            if len(means) > 1 and mean in best and not (at_zero and mean == 0):
                cells[i][column] = replace(cells[i][column], rank=best.index(mean) + 1)
    return tuple(replace(row, cells=ranked_cells) for row, ranked_cells in zip(rows, cells, strict=True))


def _known(asked: Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in asked if name not in known]:
        raise UserError(f"--metric {unknown[0]}: no such metric; {did_you_mean(unknown[0], known)}")
    return tuple(asked)


def _split(runs: Iterable[RunResult], key: Callable[[RunResult], Key]) -> dict[Key, list[RunResult]]:
    parts: dict[Key, list[RunResult]] = {}
    for run in runs:
        parts.setdefault(key(run), []).append(run)
    return parts


def _streams(runs: Sequence[RunResult]) -> Iterable[list[RunResult]]:
    """The runs of each scenario and segmenter."""
    in_order = sorted(runs, key=lambda run: (run.scenario, run.segmenter, run.method, run.seed))
    return _split(in_order, lambda run: (run.scenario, run.segmenter)).values()


def _group(
    runs: Sequence[RunResult], columns: tuple[str, ...], cells: Cells, better: Mapping[str, str], metric: str = ""
) -> Group:
    blocks: list[Block] = []
    by_protocol = _split(runs, lambda run: signature(run.conditions))
    for same in sorted(by_protocol.values(), key=len, reverse=True):
        protocol = same[0].conditions
        differs = differences(protocol, blocks[0].protocol) if blocks else {}
        rows = _told_apart([_row(seeds, cells(seeds)) for seeds in _split(same, lambda run: run.method).values()])
        bounds_last = sorted(rows, key=lambda row: row.upper_bound)
        blocks.append(Block(protocol, differs, ranked(bounds_last, better)))
    return Group(runs[0].scenario, runs[0].segmenter, tuple(blocks), columns, metric, notes=_skipped(runs))


def _skipped(runs: Sequence[RunResult]) -> tuple[str, ...]:
    """What ``--on-bad-frame skip`` did to runs; older ones lack the key."""
    counts = ((run, sum(step.get("skipped_clips") or 0 for step in run.steps)) for run in runs)
    return tuple(
        f"{run.name}, seed {run.seed}: {count} training clips with an unreadable frame were replaced by others."
        for run, count in counts
        if count
    )


def _row(runs: Sequence[RunResult], cells: dict[str, Statistic]) -> Row:
    first = runs[0]
    return Row(
        learner=first.learner,
        seeds=tuple(run.seed for run in runs),
        init=str(first.protocol.get("init", "-")),
        cells=cells,
        upper_bound=all(run.upper_bound for run in runs),
        text_encoder=first.text_encoder,
        note=first.text_encoder.note if first.text_encoder else "",
        label=first.label,
        run_ids=tuple(run.run_id for run in runs),
    )


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """Rows of one name say what they differ in: what the runs are called, or which text encoder they have."""
    learners: dict[str, set[str]] = {}
    for row in rows:
        learners.setdefault(row.label, set()).add(row.learner)
    rows = [replace(row, label=f"{row.label} ({row.learner})") if len(learners[row.label]) > 1 else row for row in rows]
    names = Counter(row.name for row in rows)
    full = [str(row.text_encoder or "no text encoder") for row in rows]
    return [replace(row, note=note) if names[row.name] > 1 else row for row, note in zip(rows, full, strict=True)]


def _condition(run: RunResult) -> Hashable:
    """What a run shares with the joint run that it is measured against."""
    return run.scenario, run.segmenter, run.seed, signature(run.conditions)


def _value(run: RunResult, metric: str, joint: Mapping[Hashable, RunResult]) -> Any:
    """After the last step; of a measure against joint training None where there is no such run of this seed."""
    against_joint = MEASURES[metric].against_joint
    if against_joint is None:
        stored, compute = {**run.steps[-1], **run.final}, MEASURES[metric].of
        if metric not in stored and compute is not None:  # the metric is younger than the run
            return compute(run.ap_matrix)
        return stored.get(metric)
    bound = None if run.upper_bound else joint.get(_condition(run))
    return bound and against_joint(run.ap_matrix, bound.class_values(-1))


def _at_step(run: RunResult, step: int, length: int, metric: str) -> Any:
    """The value of a step; a stream of one step (the upper bound's) is compared with the last one."""
    index = step - (length - 1) if len(run.steps) == 1 else step
    return run.steps[index].get(metric) if 0 <= index < len(run.steps) else None


def _statistic(values: Iterable[tuple[int, Any]]) -> Statistic:
    """Of (seed, value or None)."""
    by_seed = {seed: float(value) for seed, value in values if value is not None}
    if not by_seed:
        return Statistic(None)
    known = list(by_seed.values())
    return Statistic(fmean(known), stdev(known) if len(known) > 1 else None, len(known), by_seed=by_seed)
