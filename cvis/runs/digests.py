"""The digests of a run's steps: what the evaluator knows of its predictions, without their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cvis.evaluation import Digest, read_results, step_metrics
from cvis.evaluation.shards import digest_of
from cvis.runs.open import OpenRun, open_run
from cvis.scenario import Scenario


def step_digests(path: Path, steps: Sequence[int]) -> list[Digest]:
    """As the run stored them; of runs older than these files, from the predictions and the data set.

    Args:
        path: the folder of a finished run.

    Raises:
        UserError: a file is damaged; or there is none, and the predictions or the data set are missing.
    """
    run = open_run(path)
    files = [run.folder.step(step).digest for step in steps]
    if all(file.is_file() for file in files):
        return [Digest.load(file) for file in files]
    scenario = run.scenario()
    return [made_again(run, scenario, step) for step in steps]


def made_again(run: OpenRun, scenario: Scenario, step: int) -> Digest:
    """From the predictions of a step.

    Raises:
        UserError: they are missing or damaged.
    """
    return digest_of(read_results(run.predictions(step), scenario.test), scenario.test, scenario.classes)


def metrics_at(run: OpenRun, scenario: Scenario, step: int, digest: Digest) -> dict[str, Any]:
    """The numbers of a step, from the digest of its predictions."""
    learned = run.result.learned
    return step_metrics(
        digest.result(),
        classes=scenario.classes,
        base=scenario.base_classes,
        old=[c for classes in learned[:step] for c in classes],
        new=learned[step],
    )
