"""Which videos train and which test: the named splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from cvis.data.split import frames_split, split_of
from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.scenario.spec import Spec


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
    return Parts(annotated, test, _sha256(ids))


def _frames(spec: Spec, annotated: VideoSet, test: VideoSet | None, where: str) -> Parts:
    split = frames_split(annotated, spec.test_fraction)
    ranges = {"train": sorted(split.train.items()), "test": sorted(split.test.items())}
    return Parts(annotated.slice_frames(split.train), annotated.slice_frames(split.test), _sha256(ranges))


def _same(spec: Spec, annotated: VideoSet, test: VideoSet | None, where: str) -> Parts:
    ids = sorted(annotated.by_id)
    return Parts(annotated, annotated, _sha256({"train": ids, "test": ids}))


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_CUTS: dict[str, Callable[[Spec, VideoSet, VideoSet | None, str], Parts]] = {
    "holdout": _holdout,
    "official-valid": _test_file,
    "test-file": _test_file,
    "frames": _frames,
    "same": _same,
}
