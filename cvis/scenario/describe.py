"""What ``cvis scenario show`` prints."""

from __future__ import annotations

from typing import Any

from cvis.scenario.stream import Scenario
from cvis.scenario.task import Task
from cvis.types import NO_OBJECT


def describe(scenario: Scenario) -> dict[str, Any]:
    """The stream as JSON-serialisable plain values; per step also what is withheld."""
    steps = [_step(scenario, task) for task in scenario]
    return {
        "name": scenario.name,
        "dataset": scenario.dataset,
        "hash": scenario.hash,
        "split_sha256": scenario.split_sha256,
        "protocol": dict(scenario.protocol),
        "classes": _named(scenario, scenario.classes),
        "classes_without_test": _named(scenario, scenario.classes_without_test),
        "train_videos": len(scenario.train),
        "train_instances": scenario.train.num_tracks,
        "test_videos": len(scenario.test),
        "test_instances": scenario.test.num_tracks,
        "steps": steps,
    }


def _step(scenario: Scenario, task: Task) -> dict[str, Any]:
    """``test_videos`` are those with an instance of C_t; scores are always over all test videos."""
    new = set(task.new_classes)
    visible = sum(track.category_id != NO_OBJECT for track in task.train.all_tracks)
    return {
        "step": task.index,
        "classes": _named(scenario, task.new_classes),
        "train_videos": len(task.train),
        "test_videos": sum(bool(new & scenario.test.classes_of(v.id)) for v in scenario.test.videos),
        "visible_instances": visible,
        "hidden_instances": task.hidden,
    }


def _named(scenario: Scenario, classes: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"id": c, "name": scenario.categories[c]} for c in classes]
