"""Views along the stream, as plain values: tables, plots and pages are made of these and hold no arithmetic.

Runs are grouped as in the result table (:mod:`cvis.report.table`): seeds of one learner, text encoder and protocol
become one curve, and different protocols never share one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from cvis.errors import UserError, did_you_mean
from cvis.evaluation.measures import MEASURES, SIZES, STABILITY, STEP_METRICS
from cvis.report.rows import Group, Row
from cvis.report.table import comparison
from cvis.runs.result import RunResult

COSTS = ("trainable_params", "stored_params", "train_s")
"""What a step costs: numbers trained, numbers added to what must be kept, seconds."""

Value = Callable[[RunResult, int], Any]


@dataclass(frozen=True)
class Entry:
    """A row of the result table with the runs it is made of, and where in the table it stands."""

    scenario: str
    segmenter: str
    block: int  # rows of one block may be compared; 0 is the most common protocol
    differs: dict[str, tuple[Any, Any]]  # protocol keys in which the block differs from block 0
    row: Row
    runs: tuple[RunResult, ...]

    @property
    def label(self) -> str:
        """As printed: one that rests on random text features says so."""
        return self.row.name

    @property
    def place(self) -> tuple[str, str, int]:
        """Curves of one place share axes."""
        return self.scenario, self.segmenter, self.block


@dataclass(frozen=True)
class Curve:
    """One number along the stream, over the seeds of a row.

    Attributes:
        steps: those that the row has; of an upper bound the last one of its stream alone.
        mean: nan where no seed has the number.
        std: sample deviation (n - 1), nan with fewer than two seeds.
        n: seeds.
    """

    entry: Entry
    steps: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n: int

    @property
    def label(self) -> str:
        return self.entry.label

    @property
    def upper_bound(self) -> bool:
        return self.entry.row.upper_bound


@dataclass(frozen=True)
class Tradeoff:
    """What a row keeps against what it learns: (mean, deviation) over seeds each, nan where undefined.

    Attributes:
        plasticity: mean AP of each later step's classes right after that step; of an upper bound its AP of them.
        stability: AP of the base classes after the last step, or the measure of forgetting that was asked for.
    """

    entry: Entry
    plasticity: tuple[float, float]
    stability: tuple[float, float]


def entries(runs: Sequence[RunResult]) -> list[Entry]:
    """Every row of the result table with its runs, in the table's order."""
    by_id = {run.run_id: run for run in runs}
    return [
        Entry(group.scenario, group.segmenter, index, block.differs, row, tuple(by_id[i] for i in row.run_ids))
        for group in comparison(runs)
        for index, block in enumerate(group.blocks)
        for row in block.rows
    ]


def step_curves(runs: Sequence[RunResult], metric: str = "mAP_all") -> list[Curve]:
    """How a metric moves along the stream, a curve per row of the result table.

    Raises:
        UserError: an unknown metric.
    """
    if metric not in STEP_METRICS:
        raise UserError(f"--metric {metric}: no metric of a step; {did_you_mean(metric, STEP_METRICS)}")
    return _curves(runs, lambda run, step: run.steps[step].get(metric), lambda run: upper_bound(run, metric))


def cost_curves(runs: Sequence[RunResult], cost: str) -> list[Curve]:
    """What every step costs: one of :data:`COSTS`.

    Raises:
        UserError: the value of a file is not a number.
    """

    def value(run: RunResult, step: int) -> Any:
        amount = run.steps[step].get(cost)
        if amount is not None and type(amount) not in (int, float):
            where = f"{run.file}: steps[{step}].{cost}"
            raise UserError(f"{where}: {amount!r:.60}: is not a number; run the same `cvis run` again")
        return amount

    return _curves(runs, value, lambda run: value(run, -1))


def tradeoff(runs: Sequence[RunResult], stability: str = "mAP_base") -> list[Tradeoff]:
    """Stability and plasticity of every row.

    Raises:
        UserError: ``stability`` is no such measure.
    """
    if stability not in STABILITY:
        raise UserError(f"--metric {stability}: no measure of stability; {did_you_mean(stability, STABILITY)}")

    def kept(run: RunResult) -> Any:
        if run.upper_bound:
            return upper_bound(run, stability)
        return run.final.get(stability) if MEASURES[stability].of else run.steps[-1].get(stability)

    def learned(run: RunResult) -> Any:
        return _task_mean(run) if run.upper_bound else run.final.get("plasticity")

    return [Tradeoff(e, _mean_std(map(learned, e.runs)), _mean_std(map(kept, e.runs))) for e in entries(runs)]


def beside(tables: Mapping[str, Sequence[Group]]) -> list[Group]:
    """The layout of CRISP's Tables III to VI: a row per learner, and the metrics side by side at every step.

    Args:
        tables: metric -> the tables of its steps, of the same runs, as :func:`cvis.report.table.per_step` makes them.
    """
    return [_beside(dict(zip(tables, same, strict=True))) for same in zip(*tables.values(), strict=True)]


def upper_bound(run: RunResult, metric: str) -> float | None:
    """What a run that saw all classes at once reaches, over the same classes as the others' last step."""
    groups = {"mAP_base": run.groups[:1], "mAP_old": run.groups[:-1], "mAP_new": run.groups[-1:]}
    if metric not in groups:
        return run.steps[-1].get(metric)
    return _mean_ap(run, [c for group in groups[metric] for c in group]) if len(run.groups) > 1 else None


def _curves(runs: Sequence[RunResult], value: Value, bound: Callable[[RunResult], Any]) -> list[Curve]:
    length: dict[tuple[str, str], int] = {}
    for run in runs:
        stream = run.scenario, run.segmenter
        length[stream] = max(length.get(stream, 1), len(run.steps))
    return [_curve(entry, length[entry.scenario, entry.segmenter], value, bound) for entry in entries(runs)]


def _curve(entry: Entry, length: int, value: Value, bound: Callable[[RunResult], Any]) -> Curve:
    if entry.row.upper_bound:
        steps: tuple[int, ...] = (length - 1,)
        numbers = [_mean_std(map(bound, entry.runs))]
    else:
        steps = tuple(range(max(len(run.steps) for run in entry.runs)))
        numbers = [_mean_std(value(run, t) for run in entry.runs if t < len(run.steps)) for t in steps]
    mean, std = zip(*numbers, strict=True)
    return Curve(entry, steps, mean, std, len(entry.runs))


def _mean_std(values: Any) -> tuple[float, float]:
    known = [float(value) for value in values if value is not None]
    return fmean(known) if known else math.nan, stdev(known) if len(known) > 1 else math.nan


def _mean_ap(run: RunResult, classes: Sequence[int]) -> float | None:
    ap = run.class_values(-1)
    scored = [ap[c] for c in classes if c in ap]
    return fmean(scored) if scored else None


def _task_mean(run: RunResult) -> float | None:
    """The mean over the later steps of their classes' mean AP: plasticity's weights."""
    means = [mean for group in run.groups[1:] if (mean := _mean_ap(run, group)) is not None]
    return fmean(means) if means else None


def _beside(parts: Mapping[str, Group]) -> Group:
    """Tables of the same rows, one per metric, made into one: step by step, and the metrics within a step."""
    first = next(iter(parts.values()))
    columns = {f"{step} {metric}": (step, metric) for step in first.columns for metric in parts}
    blocks = []
    for i, block in enumerate(first.blocks):
        rows = []
        for j, row in enumerate(block.rows):
            cells = {metric: part.blocks[i].rows[j].cells for metric, part in parts.items()}
            rows.append(replace(row, cells={name: cells[metric][step] for name, (step, metric) in columns.items()}))
        blocks.append(replace(block, rows=tuple(rows)))
    notes = [note for part in parts.values() for note in part.notes]
    if empty := [metric for metric, part in parts.items() if metric in SIZES and _is_empty(part)]:
        notes.append(f"{', '.join(empty)}: undefined, as no object of the test videos is of that size.")
    return replace(first, blocks=tuple(blocks), columns=tuple(columns), metric="", notes=tuple(notes))


def _is_empty(group: Group) -> bool:
    return all(cell.mean is None for block in group.blocks for row in block.rows for cell in row.cells.values())
