"""The stream: a sequence of steps over one data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from cvis.data.split import checksum
from cvis.data.videoset import VideoSet
from cvis.scenario.visibility import Task, make_tasks
from cvis.types import NO_OBJECT


@dataclass(frozen=True, eq=False)
class Scenario(Sequence[Task]):
    """A class-incremental stream: ``scenario[t]`` is step t, a slice is a tuple of steps.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import cvis
    >>> from cvis.testing.stream import make_stream
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scenario = cvis.load_scenario(make_stream(Path(folder), steps=(2, 1, 1)))
    >>> isinstance(scenario, cvis.Scenario), [task.new_classes for task in scenario]
    (True, [(1, 2), (3,), (4,)])
    >>> [scenario.categories[c] for c in scenario.base_classes], len(scenario.test)
    (['red', 'green'], 4)

    Attributes:
        classes_by_step: C_1 .. C_T, category ids in learning order. A merged stream keeps those of the stream
            that it is the upper bound of, so that both are scored alike.
        categories: id -> name, every category of the annotation file.
        train: the train videos with all annotations; what steps may see of them is in the tasks.
        test: the test videos with all annotations; every step is scored on all of them.
        protocol: the choices behind the stream, JSON-serialisable; stored in every result.
        split_sha256: of the train and test parts' video ids (or frame ranges).
        hash: sha256 over everything that changes what a learner sees or is scored on; a merged stream has
            its origin's hash with ``-joint`` added.
    """

    name: str
    dataset: str
    classes_by_step: tuple[tuple[int, ...], ...]
    categories: Mapping[int, str]
    tasks: tuple[Task, ...]
    train: VideoSet
    test: VideoSet
    protocol: Mapping[str, Any]
    split_sha256: str
    hash: str
    is_merged: bool = False

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, index):
        return self.tasks[index]

    @property
    def classes(self) -> tuple[int, ...]:
        """All classes of the stream, in learning order."""
        return tuple(c for classes in self.classes_by_step for c in classes)

    @property
    def base_classes(self) -> tuple[int, ...]:
        """C_1, the classes of step 0."""
        return self.classes_by_step[0]

    @property
    def classes_without_test(self) -> tuple[int, ...]:
        """Classes without an instance in the test part: they have no AP and enter no mean."""
        present = {track.category_id for track in self.test.all_tracks}
        return tuple(c for c in self.classes if c not in present)

    def merged(self) -> Scenario:
        """One step with all classes and all their annotations: the stream of the joint upper bound."""
        if self.is_merged:
            return self
        policy = self.protocol["other_class_policy"]
        tasks = make_tasks(self.train, [self.classes], "overlap", policy)
        return replace(self, tasks=tasks, hash=f"{self.hash}-joint", is_merged=True)


def stream_hash(
    classes_by_step: Sequence[Sequence[int]],
    tasks: Sequence[Task],
    test: VideoSet,
    protocol: Mapping[str, Any],
    split_sha256: str,
) -> str:
    """sha256 of the canonical JSON of what a learner sees and is scored on; names and paths stay out."""
    content = {
        "groups": [list(classes) for classes in classes_by_step],
        "visibility": protocol["visibility"],
        "other_class_policy": protocol["other_class_policy"],
        "split": split_sha256,
        "train": [task.train.sha256 for task in tasks],
        "test": test.sha256,
    }
    return checksum(content)


def describe(scenario: Scenario) -> dict[str, Any]:
    """What ``cvis scenario show`` prints, JSON-serialisable; per step also what is withheld."""
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
