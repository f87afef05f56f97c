"""One step-0 model for every learner that does not change step 0: else the comparison is confounded.

A stored model is addressed by the content of its recipe: the training data, the base classes, the segmenter,
the schedule, the initialisation, the seed. Same recipe, same model; any difference, another address.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size

from cvis.atomic import write_text
from cvis.engine import checkpoint
from cvis.engine.config import PLACES, Config
from cvis.engine.initial import init_identity
from cvis.files import shipped
from cvis.scenario import Task

RECIPE_VERSION = 3
"""Raised when the meaning of a recipe changes, so that older stored models are not reused."""


@dataclass(frozen=True)
class StepZero:
    """The place of one step-0 model in the store below ``root``; some come with cvis (``configs/step0``)."""

    root: Path
    recipe: dict[str, Any]
    with_shipped: bool = True

    @property
    def key(self) -> str:
        text = json.dumps(self.recipe, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def file(self) -> Path:
        return self.root / "step0-store" / self.key / "model.pth"

    @property
    def source(self) -> Path | None:
        """The file to take it from; None if it is to be trained."""
        ours = [shipped("configs") / "step0" / self.key / "model.pth"] if self.with_shipped else []
        return next((file for file in (self.file, *ours) if file.is_file()), None)

    def load(self) -> dict[str, Any] | None:
        """The stored segmenter state and its training time, or None."""
        return checkpoint.load(self.source, state=dict, train_s=float) if self.source else None

    def save(self, segmenter: torch.nn.Module, train_s: float) -> None:
        """Keep a trained segmenter, unless another run was faster; the recipe lies beside it for people to read."""
        if self.file.is_file():
            return
        write_text(self.file.with_name("recipe.json"), json.dumps(self.recipe, indent=1, default=str) + "\n")
        checkpoint.save(self.file, {"state": checkpoint.snapshot(segmenter.state_dict()), "train_s": train_s})


def recipe(config: Config, task: Task, device: torch.device, amp: bool) -> dict[str, Any]:
    """Everything that a step-0 model depends on.

    Kind of device, precision and number of processes belong to it: they give other roundings and other batches.
    """
    return {
        "version": RECIPE_VERSION + (get_world_size() > 1),  # at 3, several processes did not learn what one does
        "train_data": task.train.sha256,
        "classes": list(task.new_classes),
        "segmenter": _as_trained(config.segmenter),
        "schedule": config.schedule.model_dump(exclude={"incremental", "joint"}),
        "sampling": config.sampling.model_dump(exclude=PLACES, exclude_none=True),
        **({"images": task.images.sha256} if task.images is not None else {}),
        "init": init_identity(config.protocol.init),
        "seed": config.runtime.seed,
        "device": device.type,
        "amp": amp,
        "processes": get_world_size(),
    }


def _as_trained(segmenter: dict[str, Any]) -> dict[str, Any]:
    """Its configuration without what says how videos are followed, which changes no weight."""
    test = segmenter.get("test") or {}
    if "tracking" not in test:
        return segmenter
    rest = {key: value for key, value in test.items() if key != "tracking"}
    return {key: rest if key == "test" else value for key, value in segmenter.items() if key != "test" or rest}
