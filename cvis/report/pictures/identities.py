"""Which track is which: ground truth gives the identities, predictions of every step take them over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvis.evaluation.overlap import track_ious
from cvis.types import RLE, Tracks

MIN_IOU = 0.5
"""Of a whole video. Below it two tracks are two objects."""

_Masks = tuple[RLE | None, ...]


def identities(columns: Sequence[Tracks], truth: bool = True) -> list[list[int]]:
    """The identity 0, 1, ... of every track of every column; equal numbers are drawn in one colour.

    Tracks of the ground truth are identities of their own. A predicted track takes the identity that it overlaps
    most, if their video IoU is at least 0.5, and is a new one otherwise: so an object keeps its number from step to
    step, even one that only the models see, and several answers for one object share it.

    Args:
        columns: tracks of one and the same video.
        truth: the first column is ground truth.
    """
    known: list[_Masks] = []
    numbers: list[list[int]] = []
    for n, tracks in enumerate(columns):
        if n == 0 and truth:
            known += tracks.segmentations
            numbers.append(list(range(len(known))))
        else:
            numbers.append(_join(tracks.segmentations, known))
    return numbers


def _join(tracks: Sequence[_Masks], known: list[_Masks]) -> list[int]:
    """The identities of predicted tracks; new ones are added to ``known``."""
    ious = _ious(tracks, [*known, *tracks])
    places = list(range(len(known)))  # columns of the IoUs that are identities already
    numbers = []
    for n, (masks, overlaps) in enumerate(zip(tracks, ious, strict=True)):
        best = max(range(len(places)), key=lambda i: overlaps[places[i]], default=None)
        if best is None or overlaps[places[best]] < MIN_IOU:
            best = len(known)
            places.append(ious.shape[1] - len(tracks) + n)
            known.append(masks)
        numbers.append(best)
    return numbers


def _ious(tracks: Sequence[_Masks], others: Sequence[_Masks]) -> np.ndarray:
    """Video IoUs [N, K]; one below 0.5 may be given as 0."""
    if not tracks:
        return np.zeros((0, len(others)))
    frames = len(tracks[0])
    return track_ious(tracks, others, frames)
