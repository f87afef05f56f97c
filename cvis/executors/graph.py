"""The runs of a table as cells: which processes there are, and which must wait for which."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cvis.engine.sweep import Planned
from cvis.executors.cells import Cell
from cvis.learners import find_learner


def cells_of(planned: Sequence[Planned], folders: Sequence[Path]) -> list[Cell]:
    """The cells of a table, those first that others wait for.

    Learners that share a step-0 model would all train it if they started together, so the first of them makes it, and
    its step 0 is a cell of its own, unless any of them has finished step 0 before.

    Args:
        folders: of the runs.
    """
    place = Path.cwd()
    cells: list[Cell] = []
    sharing: dict[tuple[str, int], list[int]] = {}
    kinds: dict[str, str | None] = {}  # of a row: the seeds of one differ in nothing else
    for item, folder in zip(planned, folders, strict=True):
        seed = item.config.runtime.seed
        if item.row not in kinds:
            kinds[item.row] = _shared_step0(item)
        if (kind := kinds[item.row]) is not None:
            sharing.setdefault((kind, seed), []).append(len(cells))
        cells.append(Cell(item.name, ("run", *item.words), place / folder, place=place))
    first = []
    for group in sharing.values():
        is_made = any(replace(cells[i], name="/step0").is_done for i in group)
        after = ""
        if len(group) > 1 and not is_made:
            made = cells[group[0]]
            first.append(replace(made, name=f"{made.name}/step0", words=(*made.words, "--stop-after", "0")))
            after = first[-1].name
        for i in group:
            cells[i] = replace(cells[i], after=after, given_step0=is_made or bool(after))
    return [*first, *cells]


def _shared_step0(item: Planned) -> str | None:
    """What runs of one seed have in common that share a step-0 model; None for a learner that trains its own."""
    config = item.config
    if find_learner(config.learner["type"]).own_step0:
        return None
    values = config.model_dump(mode="json")
    values["schedule"] = {k: v for k, v in values["schedule"].items() if k not in ("incremental", "joint")}
    del values["runtime"]["seed"]
    keys = ("scenario", "segmenter", "schedule", "sampling", "protocol", "runtime")
    return json.dumps([values[key] for key in keys], sort_keys=True)
