"""The result tables of a command as one document, and their numbers for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from cvis.report import layout
from cvis.report.rows import Baseline, Block, Group, Row
from cvis.report.value import Section
from cvis.runs.find import LeftOut
from cvis.runs.protocol import describe

SCHEMA = 1


@dataclass(frozen=True)
class ResultTables:
    """Groups of rows as a document.

    Records: a line for each row and metric. ``block``: rows may be compared only if it is equal, within a scenario and
    segmenter. ``differs``: the protocol keys in which the block differs from block 1. ``seeds``, ``run_ids``: separated
    by blanks, in one order. ``step``: of the stream, empty for metrics of the whole run. ``std``: over seeds, n - 1.
    ``rank``: 1 the best of the block, 2 the second, 0 others. ``difference`` to the row called ``baseline`` over
    ``pairs`` seeds, with its 95 % interval.

    Attributes:
        left_out: runs that are no rows.
        set_apart: rows of a cell that another run claims under another protocol.
        beside: what is printed instead of the groups: several of one layout in one.
    """

    groups: Sequence[Group]
    left_out: Sequence[LeftOut] = ()
    set_apart: Sequence[LeftOut] = ()
    beside: Sequence[Group] = ()

    legend: ClassVar[str] = layout.LEGEND
    fields: ClassVar[tuple[str, ...]] = (
        *("scenario", "segmenter", "block", "differs", "source", "learner", "name", "init", "upper_bound"),
        *("seeds", "run_ids", "metric", "step", "mean", "std", "n", "rank"),
        *("baseline", "difference", "ci_low", "ci_high", "pairs", "note"),
    )

    def sections(self) -> list[Section]:
        return [layout.section(group) for group in self.beside or self.groups]

    def records(self) -> Iterator[dict[str, Any]]:
        for group in self.groups:
            for index, block in enumerate(group.blocks, 1):
                for row in block.rows:
                    yield from _records(group, index, block, row)

    def content(self) -> dict[str, Any]:
        """Keys may be added; the schema's number changes if any is changed.

        ::

            {"schema": 1,
             "groups": [group],                 or "per_step": {metric: [group]} where columns are steps
             "left_out": [{"path", "reason"}],  no rows: unfinished, damaged, ..
             "set_apart": [{"path", "reason"}]}

            group: {"scenario", "segmenter", "blocks": [block], "notes": [text]}
            block: {"source": "ours" | "paper", "title", "notes",    of a paper: where it was printed, how measured
                    "protocol", "differs": {key: {"here", "first"}}, against the group's first block
                    "rows": [row],                                   may be ranked against each other
                    "baseline": null | {"name", "rows": [{"name", "unpaired": [seed], "metrics": {metric: gain}}]}}
            row:   {"learner", "name", "source", "seeds", "run_ids", "init", "upper_bound", "text_encoder",
                    "metrics": {metric: {"mean", "std", "n"}},       std: sample deviation, null for one seed
                    "ranks": {metric: 1 | 2}}                        the best and the second
            gain:  {"mean", "low", "high", "n"}                      row minus baseline over n pairs, 95 % interval
        """
        content: dict[str, Any] = {"schema": SCHEMA}
        if any(group.metric for group in self.groups):
            by_metric: dict[str, list[Group]] = {}
            for group in self.groups:
                by_metric.setdefault(group.metric, []).append(group)
            content["per_step"] = {metric: [_group(group) for group in same] for metric, same in by_metric.items()}
        else:
            content["groups"] = [_group(group) for group in self.groups]
        return {**content, "left_out": reasons(self.left_out), "set_apart": reasons(self.set_apart)}


def reasons(items: Iterable[LeftOut]) -> list[dict[str, str]]:
    return [{"path": str(item.path), "reason": item.reason} for item in items]


def _records(group: Group, index: int, block: Block, row: Row) -> Iterator[dict[str, Any]]:
    place = {
        "scenario": group.scenario,
        "segmenter": group.segmenter,
        "block": index,
        "differs": describe(block.differs, limit=len(block.differs)),
        **row.about(),
        "note": "; ".join([block.title, *block.notes]) if block.title else "",
    }
    gains = next((other.cells for other in block.baseline.rows if other.row is row), {}) if block.baseline else {}
    for step, column in enumerate(group.columns):
        record = {**place, "metric": group.metric, "step": step} if group.metric else {**place, "metric": column}
        cell = row.cells[column]
        record |= {"mean": cell.mean, "std": cell.std, "n": cell.n, "rank": cell.rank}
        if block.baseline and column in gains:
            gain = gains[column]
            record |= {"baseline": block.baseline.row.name, "difference": gain.mean, "pairs": gain.n}
            record |= {"ci_low": gain.low, "ci_high": gain.high}
        yield record


def _group(group: Group) -> dict[str, Any]:
    return {
        "scenario": group.scenario,
        "segmenter": group.segmenter,
        "blocks": [_block(block) for block in group.blocks],
        "notes": list(group.notes),
    }


def _block(block: Block) -> dict[str, Any]:
    return {
        "source": block.source,
        "title": block.title,
        "notes": list(block.notes),
        "protocol": block.protocol,
        "differs": {key: {"here": here, "first": first} for key, (here, first) in block.differs.items()},
        "rows": [_row(row) for row in block.rows],
        "baseline": block.baseline and _baseline(block.baseline),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        **row.about(),
        "text_encoder": row.text_encoder and asdict(row.text_encoder),
        "metrics": row.metrics(),
        "ranks": {name: cell.rank for name, cell in row.cells.items() if cell.rank},
    }


def _baseline(baseline: Baseline) -> dict[str, Any]:
    rows = [
        {
            "name": other.row.name,
            "unpaired": list(other.unpaired),
            "metrics": {name: asdict(gain) for name, gain in other.cells.items()},
        }
        for other in baseline.rows
    ]
    return {"name": baseline.row.name, "rows": rows}
