"""From a spec and annotated videos to a stream: the one constructor of :class:`Scenario`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvis.data.split import FRACTION, checksum, expected_sha256, frames_split, split_of
from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.scenario.order import divide, learning_order
from cvis.scenario.spec import Spec
from cvis.scenario.stream import Scenario, stream_hash
from cvis.scenario.visibility import Task, make_tasks


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
    uses_fraction, uses_test = spec.split in ("holdout", "frames"), spec.split in ("official-valid", "test-file")
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


@dataclass(frozen=True)
class Parts:
    """The two parts of a data set. ``sha256`` is of their video ids, or of their frame ranges."""

    train: VideoSet
    test: VideoSet
    sha256: str


def cut(spec: Spec, annotated: VideoSet, test: VideoSet | None, where: str) -> Parts:
    """Apply ``spec.split``.

    ``holdout``
        our stratified held-out part of the annotated videos (:func:`cvis.data.split.holdout_split`);
    ``official-valid``, ``test-file``
        all annotated videos train, those of the test annotation file test;
    ``frames``
        the first frames of every video train, its last ``test_fraction`` test;
    ``same``
        all videos train and test: for smoke runs only.

    Raises:
        UserError: the split needs a test file and there is none, or its categories differ.
    """
    return _CUTS[spec.split](spec, annotated, test, where)


def _holdout(spec: Spec, annotated: VideoSet, test: VideoSet | None, where: str) -> Parts:
    split = split_of(annotated, spec.test_fraction)
    return Parts(annotated.select(split.train), annotated.select(split.test), split.sha256)


def _test_file(spec: Spec, annotated: VideoSet, test: VideoSet | None, where: str) -> Parts:
    if test is None:
        raise UserError(
            f"{where}: split: {spec.split!r}: {spec.dataset} has no test annotations here; "
            f'choose split = "holdout", or put the test annotation file in its place'
        )
    if not test.num_tracks:
        raise UserError(
            f"{where}: split: {spec.split!r}: the test annotation file holds no annotations (official valid "
            f'labels are private); choose split = "holdout"'
        )
    if {(c.id, c.name) for c in test.categories} != {(c.id, c.name) for c in annotated.categories}:
        raise UserError(
            f"{where}: split: {spec.split!r}: the train and the test annotation file have different "
            f"categories; use two files of one data set"
        )
    ids = {"train": sorted(annotated.by_id), "test": sorted(test.by_id)}
    return Parts(annotated, test, checksum(ids))


def _frames(spec: Spec, annotated: VideoSet, test: VideoSet | None, where: str) -> Parts:
    split = frames_split(annotated, spec.test_fraction)
    ranges = {"train": sorted(split.train.items()), "test": sorted(split.test.items())}
    return Parts(annotated.slice_frames(split.train), annotated.slice_frames(split.test), checksum(ranges))


def _same(spec: Spec, annotated: VideoSet, test: VideoSet | None, where: str) -> Parts:
    ids = sorted(annotated.by_id)
    return Parts(annotated, annotated, checksum({"train": ids, "test": ids}))


_CUTS: dict[str, Callable[[Spec, VideoSet, VideoSet | None, str], Parts]] = {
    "holdout": _holdout,
    "official-valid": _test_file,
    "test-file": _test_file,
    "frames": _frames,
    "same": _same,
}
