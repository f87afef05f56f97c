"""Tables as JSON, for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from cvis.report.rows import Baseline, Block, Group, Row
from cvis.runs.find import LeftOut

SCHEMA = 1


def render(groups: Sequence[Group], left_out: Sequence[LeftOut] = (), set_apart: Sequence[LeftOut] = ()) -> str:
    """Numbers unrounded, null where there is none. Keys may be added; the schema's number changes if any is changed.

    ::

        {"schema": 1,
         "groups": [group],                 or "per_step": {metric: [group]} where columns are steps
         "left_out": [{"path", "reason"}],  no rows: unfinished, damaged, ..
         "set_apart": [{"path", "reason"}]} rows, but of a cell that another run claims under another protocol

        group: {"scenario", "segmenter", "blocks": [block], "notes": [text]}
        block: {"source": "ours" | "paper", "title", "notes",    of a paper: where it was printed, how it was measured
                "protocol", "differs": {key: {"here", "first"}}, against the group's first block
                "rows": [row],                                   may be ranked against each other
                "baseline": null | {"name", "rows": [{"name", "unpaired": [seed], "metrics": {metric: gain}}]}}
        row:   {"learner", "name", "source", "seeds", "run_ids", "init", "upper_bound", "text_encoder",
                "metrics": {metric: {"mean", "std", "n"}},       std: sample deviation, null for one seed
                "ranks": {metric: 1 | 2}}                        the best and the second
        gain:  {"mean", "low", "high", "n"}                      row minus baseline over n pairs, 95 % interval
    """
    content: dict[str, Any] = {"schema": SCHEMA}
    if any(group.metric for group in groups):
        metrics = dict.fromkeys(group.metric for group in groups)
        content["per_step"] = {name: as_json(g for g in groups if g.metric == name) for name in metrics}
    else:
        content["groups"] = as_json(groups)
    for name, items in (("left_out", left_out), ("set_apart", set_apart)):
        content[name] = [{"path": str(item.path), "reason": item.reason} for item in items]
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def as_json(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """Groups as plain values."""
    return [
        {
            "scenario": group.scenario,
            "segmenter": group.segmenter,
            "blocks": [_block(block) for block in group.blocks],
            "notes": list(group.notes),
        }
        for group in groups
    ]


def _block(block: Block) -> dict[str, Any]:
    return {
        "source": block.source,
        "title": block.title,
        "notes": list(block.notes),
        "protocol": block.protocol,
        "differs": {key: {"here": a, "first": b} for key, (a, b) in block.differs.items()},
        "rows": [_row(row) for row in block.rows],
        "baseline": block.baseline and _baseline(block.baseline),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "learner": row.learner,
        "name": row.name,
        "source": row.source,
        "seeds": list(row.seeds),
        "run_ids": list(row.run_ids),
        "init": row.init,
        "upper_bound": row.upper_bound,
        "text_encoder": row.text_encoder and asdict(row.text_encoder),
        "metrics": {name: {"mean": c.mean, "std": c.std, "n": c.n} for name, c in row.cells.items()},
        "ranks": {name: cell.rank for name, cell in row.cells.items() if cell.rank},
    }


def _baseline(baseline: Baseline) -> dict[str, Any]:
    rows = [
        {
            "name": own.row.name,
            "unpaired": list(own.unpaired),
            "metrics": {name: asdict(gain) for name, gain in own.cells.items()},
        }
        for own in baseline.rows
    ]
    return {"name": baseline.row.name, "rows": rows}
