"""From finished runs to the rows of a result table: seeds become mean and deviation, protocols stay apart.

Two rows may stand in one block, and be ranked against each other, only if scenario, segmenter and every
protocol key are equal. Another split, another initialisation or another rule of averaging makes numbers that
look comparable and are not; such rows get a block of their own that names the differing keys.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, stdev
from typing import Any

from cvis.errors import UserError
from cvis.report.metrics import COLUMNS, METRICS, STEP_METRICS
from cvis.report.store import RunResult, TextEncoder, labelled


@dataclass(frozen=True)
class Cell:
    """One number over the seeds. ``std`` is the sample deviation (n - 1), None for a single seed."""

    mean: float | None
    std: float | None = None
    n: int = 0
    rank: int = 0  # 1 the best of its block, 2 the second, 0 neither or not ranked

    def text(self) -> str:
        """As printed: two decimals, ``-`` where the metric does not exist."""
        if self.mean is None:
            return "-"
        return f"{self.mean:.2f}" if self.std is None else f"{self.mean:.2f} ± {self.std:.2f}"


@dataclass(frozen=True)
class Row:
    """One learner, with one text encoder if it has any, under one protocol, over its seeds."""

    learner: str
    seeds: tuple[int, ...]
    init: str
    cells: dict[str, Cell]
    upper_bound: bool = False  # sees the whole stream at once: listed last, never ranked
    text_encoder: TextEncoder | None = None
    note: str = ""  # what the label alone would hide
    label: str = ""
    source: str = "ours"  # or "paper": printed in one, not run here

    @property
    def name(self) -> str:
        """As printed: a row that rests on random text features says so."""
        return labelled(self.label or self.learner, self.note)


@dataclass(frozen=True)
class Block:
    """Rows that may be compared with each other."""

    protocol: dict[str, Any]
    differs: dict[str, tuple[Any, Any]]  # key -> (value here, value in the first block of the group)
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Group:
    """All blocks of one scenario and segmenter; the first block holds the most common protocol."""

    scenario: str
    segmenter: str
    blocks: tuple[Block, ...]
    columns: tuple[str, ...]


def comparison(runs: Sequence[RunResult], metrics: Sequence[str] = ()) -> list[Group]:
    """The result table: one row per learner and protocol, ``final`` metrics and those of the last step.

    Raises:
        UserError: an unknown metric.
    """
    columns = _choose(metrics, tuple(METRICS), default=tuple(COLUMNS))

    def cells(own: Sequence[RunResult]) -> dict[str, Cell]:
        return {name: _cell(run.final.get(name, run.steps[-1].get(name)) for run in own) for name in columns}

    better = {name: METRICS[name][1] for name in columns}
    return [_group(key, own, columns, cells, better) for key, own in _grouped(runs).items()]


def per_step(runs: Sequence[RunResult], metric: str = "mAP_all") -> list[Group]:
    """How one metric moves along the stream: a column per step. An upper bound stands at the last step.

    Raises:
        UserError: an unknown metric.
    """
    (metric,) = _choose([metric], STEP_METRICS)
    groups = []
    for key, own in _grouped(runs).items():
        length = max(len(run.steps) for run in own)
        columns = tuple(f"step {i}" for i in range(length))

        def cells(runs: Sequence[RunResult], length: int = length) -> dict[str, Cell]:
            return {f"step {i}": _cell(_at_step(run, i, length, metric) for run in runs) for i in range(length)}

        groups.append(_group(key, own, columns, cells, dict.fromkeys(columns, "higher")))
    return groups


def as_json(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """The same content as plain values: unrounded means, deviations and seeds."""
    return [
        {
            "scenario": group.scenario,
            "segmenter": group.segmenter,
            "blocks": [
                {
                    "protocol": block.protocol,
                    "differs": {key: {"here": a, "first": b} for key, (a, b) in block.differs.items()},
                    "rows": [_row_json(row) for row in block.rows],
                }
                for block in group.blocks
            ],
        }
        for group in groups
    ]


def _row_json(row: Row) -> dict[str, Any]:
    cells = {name: {"mean": c.mean, "std": c.std, "n": c.n} for name, c in row.cells.items()}
    return {
        "learner": row.learner,
        "seeds": list(row.seeds),
        "init": row.init,
        "upper_bound": row.upper_bound,
        "text_encoder": row.text_encoder and asdict(row.text_encoder),
        "metrics": cells,
    }


def _choose(asked: Sequence[str], known: tuple[str, ...], default: tuple[str, ...] = ()) -> tuple[str, ...]:
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
    better: dict[str, Any],
) -> Group:
    protocols = Counter(_canonical(run.protocol) for run in runs)
    reference: dict[str, Any] = json.loads(protocols.most_common(1)[0][0])
    blocks = []
    for text, _ in protocols.most_common():
        protocol = json.loads(text)
        own: dict[tuple[str, ...], list[RunResult]] = {}
        for run in runs:
            if _canonical(run.protocol) == text:
                own.setdefault(run.method, []).append(run)
        rows = _told_apart([_row(seeds, cells(seeds)) for seeds in own.values()])
        rows.sort(key=lambda row: row.upper_bound)
        blocks.append(Block(protocol, _differences(protocol, reference), tuple(_ranked(rows, better))))
    return Group(*key, tuple(blocks), columns)


def _row(runs: Sequence[RunResult], cells: dict[str, Cell]) -> Row:
    first, seeds = runs[0], tuple(run.seed for run in runs)
    init = str(first.protocol.get("init", "-"))
    note = first.text_encoder.note if first.text_encoder else ""
    return Row(
        first.learner, seeds, init, cells, all(run.upper_bound for run in runs), first.text_encoder, note, first.label
    )


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """Rows of one name differ in their text encoders: then each says in full which it has."""
    names = Counter(row.name for row in rows)
    full = [str(row.text_encoder or "no text encoder") for row in rows]
    return [replace(row, note=note) if names[row.name] > 1 else row for row, note in zip(rows, full, strict=True)]


def _canonical(protocol: dict[str, Any]) -> str:
    return json.dumps(protocol, sort_keys=True)


def _differences(protocol: dict[str, Any], reference: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    here, there = _flat(protocol), _flat(reference)
    pairs = {key: (here.get(key), there.get(key)) for key in sorted(here.keys() | there.keys())}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys by their path: ``{"schedule": {"scale": 1}}`` -> ``{"schedule.scale": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _at_step(run: RunResult, step: int, length: int, metric: str) -> Any:
    """The value of a step; a stream of one step (the upper bound's) is compared with the last one."""
    index = step - (length - 1) if len(run.steps) == 1 else step
    return run.steps[index].get(metric) if 0 <= index < len(run.steps) else None


def _cell(values: Iterable[Any]) -> Cell:
    found = [float(value) for value in values if value is not None]
    if not found:
        return Cell(None)
    return Cell(fmean(found), stdev(found) if len(found) > 1 else None, len(found))


def _ranked(rows: Sequence[Row], better: dict[str, Any]) -> list[Row]:
    """Mark the best and the second of every column; values that print alike share a rank."""
    ranked: list[dict[str, Cell]] = [dict(row.cells) for row in rows]
    for column, direction in better.items():
        values = {
            i: round(mean, 2)
            for i, row in enumerate(rows)
            if not row.upper_bound and (mean := row.cells[column].mean) is not None
        }
        best = sorted(set(values.values()), reverse=direction == "higher")[:2]
        for i, value in values.items():
            if value in best and len(values) > 1:
                cell = ranked[i][column]
                ranked[i][column] = Cell(cell.mean, cell.std, cell.n, best.index(value) + 1)
    return [replace(row, cells=cells) for row, cells in zip(rows, ranked, strict=True)]
