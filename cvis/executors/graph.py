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
    sharing: dict[str, list[int]] = {}
    for item, folder in zip(planned, folders, strict=True):
        seed = item.config.runtime.seed
        log = place / item.config.runtime.runs / "logs" / f"{'-'.join(folder.parts[-4:])}.log"
        if (key := _shared_step0(item)) is not None:
            sharing.setdefault(key, []).append(len(cells))
        cells.append(Cell(f"{item.row}/seed{seed}", ("run", *item.words), place / folder, log, place=place))
    first = []
    for group in sharing.values():
        if len(group) > 1 and not any(replace(cells[i], name="/step0").is_done for i in group):
            made = cells[group[0]]
            step0 = replace(made, name=f"{made.name}/step0", words=(*made.words, "--stop-after", "0"))
            first.append(step0)
            for i in group:
                cells[i] = replace(cells[i], after=step0.name)
    return [*first, *cells]


def _shared_step0(item: Planned) -> str | None:
    """What runs have in common that share a step-0 model; None for a learner that trains its own."""
    config = item.config
    if find_learner(config.learner["type"]).own_step0:
        return None
    values = config.model_dump(mode="json")
    values["schedule"] = {k: v for k, v in values["schedule"].items() if k not in ("incremental", "joint")}
    keys = ("scenario", "segmenter", "schedule", "sampling", "protocol", "runtime")
    return json.dumps([values[key] for key in keys], sort_keys=True)
