"""From a spec and annotated videos to a stream: the one constructor of :class:`Scenario`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cvis.data.split import FRACTION, expected_sha256
from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.scenario.order import divide, learning_order
from cvis.scenario.parts import cut
from cvis.scenario.spec import Spec
from cvis.scenario.stream import Scenario, stream_hash
from cvis.scenario.task import Task
from cvis.scenario.visibility import make_tasks


def build(spec: Spec, annotated: VideoSet, test: VideoSet | None = None, where: str = "scenario") -> Scenario:
    """The stream that ``spec`` describes.

    Args:
        annotated: the annotated train set, before any split.
        test: the test set, for the splits that take one.
        where: the file of the spec, for messages.

    Raises:
        UserError: the classes, numbers or split do not fit the data, or a step has a class without a video.
    """
    classes = learning_order(spec.order, annotated, where, spec.exclude)
    classes_by_step = divide(classes, spec.base, spec.increment, where)
    parts = cut(spec, annotated, test, where)
    names = {category.id: category.name for category in annotated.categories}
    tasks = make_tasks(parts.train, classes_by_step, spec.visibility, spec.other_class_policy)
    _refuse_empty_classes(tasks, names, spec, where)
    protocol = _protocol(spec, classes_by_step, annotated, test, parts.sha256)
    digest = stream_hash(classes_by_step, tasks, parts.test, protocol, parts.sha256)
    return Scenario(
        spec.name, spec.dataset, classes_by_step, names, tasks, parts.train, parts.test, protocol, parts.sha256, digest
    )


def _protocol(
    spec: Spec, classes_by_step: Sequence[Sequence[int]], annotated: VideoSet, test: VideoSet | None, split_sha256: str
) -> Mapping[str, Any]:
    """``split_confirmed``: the split is the one under checksum; None where no checksum is published."""
    uses_fraction = spec.split in ("holdout", "frames")
    uses_test = spec.split in ("official-valid", "test-file") and test is not None
    return {
        "dataset": spec.dataset,
        "split": spec.split,
        "test_fraction": spec.test_fraction if uses_fraction else None,
        "split_confirmed": _is_confirmed(spec, split_sha256),
        "visibility": spec.visibility,
        "other_class_policy": spec.other_class_policy,
        "order": spec.order if isinstance(spec.order, str) else "listed",
        "base": spec.base,
        "increments": [len(classes) for classes in classes_by_step[1:]],
        "exclude": list(spec.exclude),
        "annotations_sha256": annotated.sha256,
        "test_annotations_sha256": test.sha256 if uses_test and test is not None else None,
    }


def _is_confirmed(spec: Spec, split_sha256: str) -> bool | None:
    if spec.split != "holdout" or spec.test_fraction != FRACTION:
        return None
    expected = expected_sha256(spec.dataset)
    return None if expected is None else expected == split_sha256


def _refuse_empty_classes(tasks: Sequence[Task], names: Mapping[int, str], spec: Spec, where: str) -> None:
    # a crowd is not a training target, so a class of crowds is as empty as one without videos
    shown = [{track.category_id for track in task.train.all_tracks if not track.iscrowd} for task in tasks]
    empty = [(c, task.index) for task in tasks for c in task.new_classes if c not in shown[task.index]]
    if not empty:
        return
    category_id, step = empty[0]
    more = f" (also empty: {[names[c] for c, _ in empty[1:]]})" if len(empty) > 1 else ""
    raise UserError(
        f"{where}: order: {names[category_id]!r}: an empty class in step {step}{more}: no train video has it "
        f"(split {spec.split!r}, visibility {spec.visibility!r}); name it in exclude instead, "
        f"or choose another split or visibility"
    )
