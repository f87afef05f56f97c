"""The test of trained steps: predictions, scores, and the files that make a step a finished one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmengine.dist import barrier, get_rank

from cvis.engine.environment import peak_memory_mb
from cvis.engine.evaluate import keep, predict_steps, shards_of
from cvis.evaluation import step_metrics
from cvis.runs.paths import SCHEMA
from cvis.scenario import Task
from cvis.types import Tracks

if TYPE_CHECKING:
    from cvis.engine.run import Run

logger = logging.getLogger("cvis")
TRACKED = ("mAP_all", "mAP_seen", "mAP_base", "mAP_new", "AP50", "AR1", "AR10")
"""What trackers get of each step's test, beside the losses."""


@dataclass(frozen=True)
class Trained:
    """A step that is trained, and not tested yet.

    Attributes:
        facts: what its ``metrics.json`` says of the training.
        heads: :meth:`~cvis.learners.Learner.heads` as the step left them; None of learners that have none.
    """

    task: Task
    facts: dict[str, Any]
    heads: Any


def score(this: Run, trained: Sequence[Trained]) -> list[dict[str, Any]]:
    """Predict every test video as each of these steps does, score, save; returns the metrics of the steps.

    The learner is as the last of them left it.
    """
    begun = time.monotonic()
    first, last = trained[0], trained[-1]
    work = this.whole.testing(last.task.index, last.facts["train_s"], first.task.index)
    heads = [step.heads for step in trained] if len(trained) > 1 else ()
    share = shards_of(this.writer.folder.step(last.task.index))[get_rank()]
    answers = predict_steps(this.learner, share.videos(this.scenario.test.videos), heads, work, this.amp)
    scored = [_scored(this, step, tracks) for step, tracks in zip(trained, zip(*answers, strict=True), strict=True)]
    seconds = (time.monotonic() - begun) / len(trained)
    for step, metrics in zip(trained, scored, strict=True):
        metrics["eval_s"] = seconds
        if get_rank() == 0:
            shown = {f"test/{name}": metrics[name] for name in TRACKED if metrics[name] is not None}
            this.visualizer.add_scalars(shown, step=step.task.index)
            this.writer.write_step(metrics)
        logger.info(
            "step %d%s: %d new classes, mAP_seen %s, mAP_all %s, trained %.0f s, tested %.0f s",
            step.task.index, mark(this.text_encoder), len(step.task.new_classes),
            number(metrics["mAP_seen"]), number(metrics["mAP_all"]), metrics["train_s"], seconds,
        )  # fmt: skip
    barrier()
    return scored


def _scored(this: Run, step: Trained, tracks: Sequence[Tracks]) -> dict[str, Any]:
    """The metrics of a step, whose predictions are written."""
    digest = keep(tracks, this.scenario, this.writer.folder.step(step.task.index))
    return {
        "schema": SCHEMA,
        "step": step.task.index,
        "text_encoder": this.text_encoder,
        **step_metrics(
            digest.result(),
            classes=this.scenario.classes,
            base=this.scenario.base_classes,
            old=step.task.old_classes,
            new=step.task.new_classes,
        ),
        **step.facts,
        "peak_mem_mb": max(step.facts["peak_mem_mb"], peak_memory_mb(this.device)),
    }


def mark(text_encoder: dict[str, Any] | None) -> str:
    """Numbers that rest on random text features are never shown without saying so."""
    return " [random text encoder]" if text_encoder and text_encoder.get("pretrained") == "random" else ""


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
