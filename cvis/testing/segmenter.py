"""The conformance kit of segmenters: each check is a function here, and ``CHECKS`` is the list of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cvis.segmenters import SEGMENTERS, Segmenter
from cvis.testing.check import Check, Outcome, named, outcome, require
from cvis.testing.segmenter_abilities import (
    aligned_queries,
    batch_invariance,
    class_slots,
    clip_tracks,
    query_groups,
    shared_features,
)
from cvis.testing.segmenter_core import (
    empty_targets,
    freezing,
    gradients,
    growing,
    losses,
    save_and_load,
    twice_the_same,
    unknown_classes,
    video_lengths,
)
from cvis.testing.specimen import Specimen

CHECKS: tuple[Check, ...] = (
    losses,
    gradients,
    growing,
    freezing,
    twice_the_same,
    batch_invariance,
    empty_targets,
    unknown_classes,
    video_lengths,
    save_and_load,
    clip_tracks,
    shared_features,
    class_slots,
    aligned_queries,
    query_groups,
)
"""In the order of a report; each takes a :class:`~cvis.testing.specimen.Specimen`."""


def check_segmenter(segmenter: type[Segmenter] | str, *, settings: Sequence[str] = ()) -> None:
    """Check that a segmenter keeps the contract of :mod:`cvis.segmenters.contract`, and every ability that it declares.

    Args:
        segmenter: a class, a registered name, a file of ``configs/segmenters``, or ``path/to/file.py:Class``.
        settings: as ``--set`` takes them: ``("segmenter.width=8",)``.

    Raises:
        Failed: a line for each failed check, with the remedy.
        UserError: there is no such segmenter or setting.
    """
    require(segmenter_outcomes(segmenter, settings))


def segmenter_outcomes(segmenter: type[Segmenter] | str, settings: Sequence[str] = ()) -> Iterator[Outcome]:
    """What each check says, one after the other; arguments as of :func:`check_segmenter`."""
    with named(SEGMENTERS, segmenter) as name, tempfile.TemporaryDirectory(prefix="cvis-check-") as folder:
        specimen = Specimen(name, settings, Path(folder))
        yield from (outcome(check, specimen) for check in CHECKS)
