"""The result tables of a command as one document, and their numbers for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from cvis.report import layout
from cvis.report.baseline import compared, unpaired
from cvis.report.rows import Block, Group, OverVideos, Row
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
    ``pairs`` seeds, with its 95 % interval. ``videos_low``, ``videos_high``: the mean's 95 % interval over test videos,
    and ``difference_videos_low``, .. of the difference.

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
        *("videos_low", "videos_high", "difference_videos_low", "difference_videos_high"),
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
                    "ranks": {metric: 1 | 2},                        the best and the second
                    "over_videos": null | {                          what other test videos would give: 95 % intervals
                        "place": null | [low, high],                 of the row's place by the first metric
                        "metrics", "gains": {metric: {"estimate", "low", "high"}}}}
            gain:  {"mean", "low", "high", "n"}                      row minus baseline over n pairs, 95 % interval
        """
        per_metric: dict[str, list[dict[str, Any]]] = {}
        for group in self.groups:
            per_metric.setdefault(group.metric, []).append(_group(group))
        tables = {"per_step": per_metric} if any(per_metric) else {"groups": per_metric.get("", [])}
        left = {"left_out": reasons(self.left_out), "set_apart": reasons(self.set_apart)}
        return {"schema": SCHEMA, **tables, **left}


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
    metrics = row.metrics()
    for step, column in enumerate(group.columns):
        named = {"metric": group.metric, "step": step} if group.metric else {"metric": column}
        record = {**place, **named, **metrics[column], "rank": row.cells[column].rank}
        if block.baseline and row.gains:
            gain = row.gains[column]
            record |= {"baseline": block.baseline.name, "difference": gain.mean, "pairs": gain.n}
            record |= {"ci_low": gain.low, "ci_high": gain.high}
        if over := row.over_videos:
            for key, intervals in (("videos", over.intervals), ("difference_videos", over.gains)):
                if found := intervals.get(column):
                    record |= {f"{key}_low": found.low, f"{key}_high": found.high}
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
        "baseline": block.baseline and {"name": block.baseline.name, "rows": _gains(block, block.baseline)},
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        **row.about(),
        "text_encoder": row.text_encoder and asdict(row.text_encoder),
        "metrics": row.metrics(),
        "ranks": {name: cell.rank for name, cell in row.cells.items() if cell.rank},
        "over_videos": row.over_videos and _over_videos(row.over_videos),
    }


def _over_videos(over: OverVideos) -> dict[str, Any]:
    return {
        "place": over.place and list(over.place),
        "metrics": {name: found._asdict() for name, found in over.intervals.items()},
        "gains": {name: found._asdict() for name, found in over.gains.items()},
    }


def _gains(block: Block, baseline: Row) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "unpaired": unpaired(row, baseline),
            "metrics": {name: asdict(gain) for name, gain in row.gains.items()},
        }
        for row in compared(block)
    ]
