"""What a finished run leaves for tables and plots, beside its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cvis.engine.config import PLACES, Names
from cvis.evaluation import final_metrics
from cvis.learners import Learner
from cvis.runs.paths import SCHEMA
from cvis.runs.queries import write_queries
from cvis.segmenters.contract import QueryGroups

if TYPE_CHECKING:
    from cvis.engine.run import Run


def keep_queries(this: Run) -> None:
    """What plots of the queries are made from, in the order of the groups; a model without groups has none."""
    segmenter = this.learner.segmenter
    if not isinstance(segmenter, QueryGroups):
        return
    groups = [segmenter.group(index) for index in range(len(segmenter.groups))]
    queries = torch.cat([group.queries.detach().float().cpu() for group in groups])
    steps = [group.step for group in groups for _ in range(len(group))]
    write_queries(this.writer.folder.path, queries.numpy(), np.asarray(steps, dtype=np.int64))


def summary(this: Run, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The run's ``metrics.json``: everything a table is made from."""
    config, scenario = this.config, this.scenario
    return {
        "schema": SCHEMA,
        "scenario": scenario.name,
        "learner": config.names.run,
        "label": _label(config.names, this.learner),
        "segmenter": config.names.segmenter,
        "seed": this.seed,
        "protocol": {
            **scenario.protocol,
            "split_sha256": scenario.split_sha256,
            "scenario_hash": scenario.hash,
            "freeze": config.protocol.freeze,
            "init": config.protocol.init,
            "preset": config.names.preset,
            "schedule": config.schedule.model_dump(),
            "sampling": config.sampling.model_dump(exclude=PLACES, exclude_none=True),
            **{key: this.writer.content[key] for key in ("images_sha256",) if key in this.writer.content},
            "segmenter": config.segmenter,
        },
        "classes": {str(c): scenario.categories[c] for c in scenario.classes},
        "groups": [list(classes) for classes in scenario.classes_by_step],
        "upper_bound": this.stream.is_merged,
        "text_encoder": this.text_encoder,
        "steps": steps,
        "final": final_metrics(steps),
    }


def _label(names: Names, learner: Learner) -> str:
    """What tables call the run: its name, and with it what the name of its method would hide."""
    if learner.label is None:
        return names.run
    return learner.label if names.run == names.learner else f"{names.run}, {learner.label}"
