"""From finished runs to the rows of a result table: seeds become mean and deviation, protocols stay apart.

Two rows may stand in one block, and be ranked against each other, only if scenario, segmenter and every
protocol key are equal. Rows under another protocol get a block of their own that names the differing keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from cvis.errors import UserError
from cvis.evaluation.measures import COLUMNS, MEASURES, METRICS, STEP_METRICS
from cvis.report.class_ap import ap_matrix, class_values
from cvis.report.rank import ranked
from cvis.report.rows import Block, Group, Row, Statistic
from cvis.runs.protocol import differences, signature
from cvis.runs.result import RunResult

__all__ = ["Block", "Group", "Row", "Statistic", "comparison", "per_step"]


def comparison(runs: Sequence[RunResult], metrics: Sequence[str] = ()) -> list[Group]:
    """The result table: one row per learner and protocol, ``final`` metrics and those of the last step.

    Raises:
        UserError: an unknown metric, or damaged numbers of a class where they are needed.
    """
    columns = chosen(metrics, METRICS, default=COLUMNS)

    joint = {_condition(run): run for run in reversed(runs) if run.upper_bound}

    def cells(seeds: Sequence[RunResult]) -> dict[str, Statistic]:
        return {name: _statistic((run.seed, _value(run, name, joint)) for run in seeds) for name in columns}

    better = {name: MEASURES[name].direction for name in columns}
    return [_group(key, same, columns, cells, better) for key, same in _grouped(runs).items()]


def per_step(runs: Sequence[RunResult], metric: str = "mAP_all") -> list[Group]:
    """How one metric moves along the stream: a column per step. An upper bound stands at the last step.

    Raises:
        UserError: an unknown metric.
    """
    (metric,) = chosen([metric], STEP_METRICS)
    groups = []
    for key, same in _grouped(runs).items():
        length = max(len(run.steps) for run in same)
        columns = tuple(f"step {i}" for i in range(length))

        def cells(runs: Sequence[RunResult], length: int = length) -> dict[str, Statistic]:
            return {
                f"step {i}": _statistic((run.seed, _at_step(run, i, length, metric)) for run in runs)
                for i in range(length)
            }

        group = _group(key, same, columns, cells, dict.fromkeys(columns, "higher"))
        groups.append(replace(group, metric=metric))
    return groups


def chosen(asked: Sequence[str], known: tuple[str, ...], default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The metrics asked for.

    Raises:
        UserError: one of them is unknown.
    """
    for name in asked:
        if name not in known:
            raise UserError(f"--metric {name}: no such metric; choose of {', '.join(known)}")
    return tuple(asked) or default


def _grouped(runs: Sequence[RunResult]) -> dict[tuple[str, str], list[RunResult]]:
    groups: dict[tuple[str, str], list[RunResult]] = {}
    for run in sorted(runs, key=lambda r: (r.scenario, r.segmenter, r.method, r.seed)):
        groups.setdefault((run.scenario, run.segmenter), []).append(run)
    return groups


def _group(
    key: tuple[str, str],
    runs: Sequence[RunResult],
    columns: tuple[str, ...],
    cells: Callable[[Sequence[RunResult]], dict[str, Statistic]],
    better: Mapping[str, str],
) -> Group:
    by_protocol: dict[Hashable, list[RunResult]] = {}
    for run in runs:
        by_protocol.setdefault(signature(run.conditions), []).append(run)
    blocks: list[Block] = []
    for same in sorted(by_protocol.values(), key=len, reverse=True):
        protocol = same[0].conditions
        differs = differences(protocol, blocks[0].protocol) if blocks else {}
        blocks.append(Block(protocol, differs, ranked(_rows(same, cells), better)))
    return Group(*key, tuple(blocks), columns)


def _rows(runs: Sequence[RunResult], cells: Callable[[Sequence[RunResult]], dict[str, Statistic]]) -> list[Row]:
    by_method: dict[tuple[str, ...], list[RunResult]] = {}
    for run in runs:
        by_method.setdefault(run.method, []).append(run)
    rows = [_row(seeds, cells(seeds)) for seeds in by_method.values()]
    return sorted(_told_apart(rows), key=lambda row: row.upper_bound)


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
        return run.final.get(metric, run.steps[-1].get(metric))
    bound = None if run.upper_bound else joint.get(_condition(run))
    return bound and against_joint(ap_matrix(run), class_values(bound, -1))


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
