"""Which track is which: ground truth gives the identities, predictions of every step take them over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvis.evaluation.overlap import mask_areas, track_ious
from cvis.types import RLE, Tracks

MIN_IOU = 0.5
"""Of a whole video. Below it two tracks are two objects."""

_Masks = tuple[RLE | None, ...]


def identities(columns: Sequence[Tracks]) -> list[list[int]]:
    """The identity 0, 1, ... of every track of every column; equal numbers are drawn in one colour.

    The tracks of the first column (the ground truth, where there is one) are identities of their own. A track of a
    later column takes the one that it overlaps most, if its video IoU is at least 0.5, and is a new one otherwise:
    so an object keeps its number from step to step, even one that only the models see.

    Args:
        columns: tracks of one and the same video.
    """
    known: list[_Masks] = []
    found: list[list[int]] = []
    for tracks in columns:
        before = len(known)
        ious = _ious(tracks, known)
        found.append([_identity(*own, known, before) for own in zip(tracks.segmentations, ious, strict=True)])
    return found


def _identity(masks: _Masks, ious: np.ndarray, known: list[_Masks], before: int) -> int:
    """Of one track: that of an earlier column, of the same masks in this column, or a new one."""
    if before and ious.max() >= MIN_IOU:
        return int(ious.argmax())
    for number in range(before, len(known)):
        if known[number] == masks:  # a query that answers with two classes
            return number
    known.append(masks)
    return len(known) - 1


def _ious(tracks: Tracks, known: Sequence[_Masks]) -> np.ndarray:
    """[N, K]; an IoU below 0.5 may be given as 0."""
    if not len(tracks) or not known:
        return np.zeros((len(tracks), len(known)))
    frames = len(known[0])
    areas = mask_areas(tracks.segmentations, frames)
    return track_ious(tracks.segmentations, known, areas, mask_areas(known, frames))
