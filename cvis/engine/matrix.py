"""Every learner with every segmenter, as the runs of one sweep per segmenter; and which pairs are not defined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cvis.engine.resolve import read_files
from cvis.engine.sweep import Planned, plan, unbuildable
from cvis.errors import UserError
from cvis.learners.registry import lacking
from cvis.runs.folder import short_name
from cvis.runs.sweep_file import Row, Sweep
from cvis.segmenters import SEGMENTERS
from cvis.segmenters.abilities import ability_name
from cvis.segmenters.contract import Segmenter

Pair = tuple[str, str]
"""A learner and a segmenter, as runs call them."""


def plan_matrix(
    scenario: str,
    learners: Sequence[str],
    segmenters: Sequence[str],
    seeds: Sequence[int],
    settings: Sequence[str] = (),
    undefined: Mapping[Pair, str] = {},
) -> list[Planned]:
    """The runs of all pairs that are defined, one seed after the other; a row is ``segmenter/learner``.

    Raises:
        UserError: see :func:`cvis.engine.sweep.plan`.
    """
    planned = []
    for segmenter in segmenters:
        short = short_name(segmenter)
        rows = [
            Row(name=short_name(name), learner=name) for name in learners if (short_name(name), short) not in undefined
        ]
        if rows:
            sweep = Sweep(name=short, scenario=scenario, rows=rows)
            runs = plan(sweep, seeds, settings, segmenter=segmenter)
            planned += [replace(item, row=f"{short}/{item.row}") for item in runs]
    return sorted(planned, key=lambda item: seeds.index(item.config.runtime.seed))


def undefined(learners: Iterable[str], segmenters: Iterable[str]) -> dict[Pair, str]:
    """Pairs of which the segmenter lacks what the learner needs. Names that nothing here has are passed over."""
    found: dict[Pair, str] = {}
    kinds = {name: kind for name in segmenters if (kind := _kind(name)) is not None}
    for learner in learners:
        for segmenter, kind in kinds.items():
            try:
                missing = lacking(learner, kind)
            except UserError:
                break
            if missing:
                needs = ", ".join(map(ability_name, missing))
                found[short_name(learner), short_name(segmenter)] = f"the model offers no {needs}"
    return found


def refused(planned: Iterable[Planned]) -> dict[Pair, str]:
    """Pairs that refuse to be built, and why."""
    pairs = ((row.partition("/"), error) for row, error in unbuildable(planned))
    return {(learner, segmenter): str(error) for (segmenter, _, learner), error in pairs}


def _kind(segmenter: str) -> type[Segmenter] | None:
    stream, learner = "synthetic-20-4", "finetune"  # of which nothing is asked
    try:
        return SEGMENTERS.find(read_files(stream, learner, segmenter)[0]["segmenter"]["type"])
    except UserError:
        return None
