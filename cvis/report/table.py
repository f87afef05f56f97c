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
from cvis.evaluation.measures import COLUMNS, METRICS, STEP_METRICS
from cvis.report.rank import ranked
from cvis.report.rows import Block, Cell, Group, Row
from cvis.runs.find import RunResult
from cvis.runs.protocol import differences, signature

__all__ = ["Block", "Cell", "Group", "Row", "comparison", "per_step"]


def comparison(runs: Sequence[RunResult], metrics: Sequence[str] = ()) -> list[Group]:
    """The result table: one row per learner and protocol, ``final`` metrics and those of the last step.

    Raises:
        UserError: an unknown metric.
    """
    columns = chosen(metrics, tuple(METRICS), default=tuple(COLUMNS))

    def cells(own: Sequence[RunResult]) -> dict[str, Cell]:
        return {
            name: _cell((run.seed, run.final.get(name, run.steps[-1].get(name))) for run in own) for name in columns
        }

    better = {name: METRICS[name][1] for name in columns}
    return [_group(key, own, columns, cells, better) for key, own in _grouped(runs).items()]


def per_step(runs: Sequence[RunResult], metric: str = "mAP_all") -> list[Group]:
    """How one metric moves along the stream: a column per step. An upper bound stands at the last step.

    Raises:
        UserError: an unknown metric.
    """
    (metric,) = chosen([metric], STEP_METRICS)
    groups = []
    for key, own in _grouped(runs).items():
        length = max(len(run.steps) for run in own)
        columns = tuple(f"step {i}" for i in range(length))

        def cells(runs: Sequence[RunResult], length: int = length) -> dict[str, Cell]:
            return {
                f"step {i}": _cell((run.seed, _at_step(run, i, length, metric)) for run in runs) for i in range(length)
            }

        group = _group(key, own, columns, cells, dict.fromkeys(columns, "higher"))
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
    cells: Callable[[Sequence[RunResult]], dict[str, Cell]],
    better: Mapping[str, str],
) -> Group:
    by_protocol: dict[Hashable, list[RunResult]] = {}
    for run in runs:
        by_protocol.setdefault(signature(run.conditions), []).append(run)
    blocks: list[Block] = []
    for own in sorted(by_protocol.values(), key=len, reverse=True):
        protocol = own[0].conditions
        differs = differences(protocol, blocks[0].protocol) if blocks else {}
        blocks.append(Block(protocol, differs, ranked(_rows(own, cells), better)))
    return Group(*key, tuple(blocks), columns)


def _rows(runs: Sequence[RunResult], cells: Callable[[Sequence[RunResult]], dict[str, Cell]]) -> list[Row]:
    by_method: dict[tuple[str, ...], list[RunResult]] = {}
    for run in runs:
        by_method.setdefault(run.method, []).append(run)
    rows = [_row(seeds, cells(seeds)) for seeds in by_method.values()]
    return sorted(_told_apart(rows), key=lambda row: row.upper_bound)


def _row(runs: Sequence[RunResult], cells: dict[str, Cell]) -> Row:
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


def _at_step(run: RunResult, step: int, length: int, metric: str) -> Any:
    """The value of a step; a stream of one step (the upper bound's) is compared with the last one."""
    index = step - (length - 1) if len(run.steps) == 1 else step
    return run.steps[index].get(metric) if 0 <= index < len(run.steps) else None


def _cell(values: Iterable[tuple[int, Any]]) -> Cell:
    """Of (seed, value or None)."""
    found = {seed: float(value) for seed, value in values if value is not None}
    if not found:
        return Cell(None)
    own = list(found.values())
    return Cell(fmean(own), stdev(own) if len(own) > 1 else None, len(own), by_seed=found)
