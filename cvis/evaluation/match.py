"""Which detection finds which ground-truth track: the official greedy matching, all videos and classes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cvis.evaluation.protocol import THRESHOLDS

_LIMITS = np.minimum(THRESHOLDS, 1 - 1e-10)


class Pairs(NamedTuple):
    """P pairs of a detection and a ground-truth track of its class and video; those below IoU 0.5 may lack."""

    detection: np.ndarray  # int64 [P], indices
    track: np.ndarray  # int64 [P]
    iou: np.ndarray  # float64 [P]


def joined(parts: Sequence[Pairs], lengths: Sequence[int]) -> Pairs:
    """The pairs of parts with so many detections each, with indices into the detections of all."""
    starts = np.cumsum([0, *lengths])
    return Pairs(
        np.concatenate([part.detection + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.track for part in parts]),
        np.concatenate([part.iou for part in parts]),
    )


class Outcomes(NamedTuple):
    """What became of N detections in every area range (A) and at every threshold (T)."""

    matched: np.ndarray  # bool [N, A, T]: took a ground-truth track
    ignored: np.ndarray  # bool [N, A, T]: neither right nor wrong


def match(
    block: np.ndarray, outside: np.ndarray, pairs: Pairs, gt_ignored: np.ndarray, gt_crowd: np.ndarray
) -> Outcomes:
    """Match by the official rule.

    Detections choose in the order of their scores. Each takes, of the tracks not yet taken, the one of the
    highest IoU at or above the threshold (of several with equal IoU the last), counted tracks before ignored
    ones. Crowds and tracks outside the area range are ignored; a crowd can be taken again and again. A
    detection that takes an ignored track is ignored; so is one that takes none and lies outside the range.

    Blocks (one class of one video each) know nothing of each other, so they advance side by side.

    Args:
        block: int [N], the block of every detection, ascending; best first within a block.
        outside: bool [N, A], detections outside an area range.
        pairs: their IoUs with G tracks.
        gt_ignored: bool [G, A], tracks outside an area range, and crowds.
        gt_crowd: bool [G].

    >>> pairs = Pairs(np.array([0, 1]), np.array([0, 0]), np.array([0.6, 0.9]))
    >>> none = np.zeros((1, 1), dtype=bool)
    >>> outcomes = match(np.array([1, 1]), np.zeros((2, 1), dtype=bool), pairs, none, none[0])
    >>> outcomes.matched[:, 0].astype(int).tolist()  # the surer detection blocks the better one up to IoU 0.6
    [[1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1, 1, 1, 0]]
    """
    num_areas = gt_ignored.shape[1]
    matched = np.zeros((len(block), num_areas, len(_LIMITS)), dtype=bool)
    ignored = np.zeros_like(matched)
    free = np.ones((len(gt_crowd), num_areas, len(_LIMITS)), dtype=bool)
    for chosen, among_ignored in _rounds(block, pairs):
        d, g = pairs.detection[chosen], pairs.track[chosen]
        eligible = gt_ignored[g] == among_ignored  # [P, A]
        reached = pairs.iou[chosen][:, None] >= _LIMITS  # [P, T]
        takes = eligible[:, :, None] & reached[:, None] & free[g] & ~matched[d]
        matched[d] |= takes
        ignored[d] |= takes & among_ignored
        free[g] &= ~takes | gt_crowd[g][:, None, None]
    return Outcomes(matched, ignored | (~matched & outside[:, :, None]))


def _rounds(block: np.ndarray, pairs: Pairs) -> Iterator[tuple[np.ndarray, bool]]:
    """The order of the choices: (pairs, whether an ignored track may be taken now), one pair per block and round.

    The first detection of every block tries its counted tracks, best first, then its ignored ones; then the second.
    """
    candidates = np.flatnonzero(pairs.iou >= _LIMITS[0])
    candidates = candidates[np.lexsort((-pairs.track[candidates], -pairs.iou[candidates], pairs.detection[candidates]))]
    contenders, which = np.unique(pairs.detection[candidates], return_inverse=True)
    turn, place = np.tile(places(block[contenders])[which], 2), np.tile(places(which), 2)
    among_ignored = np.repeat([False, True], len(candidates))
    order = np.lexsort((place, among_ignored, turn))
    steps = np.stack([turn, among_ignored, place], axis=1)[order]
    for chosen in np.split(order, np.flatnonzero((steps[1:] != steps[:-1]).any(axis=1)) + 1):
        if chosen.size:
            yield candidates[chosen % len(candidates)], bool(among_ignored[chosen[0]])


def places(labels: np.ndarray) -> np.ndarray:
    """The place of every element among those of its label, from 0; equal labels stand together.

    >>> places(np.array([4, 4, 4, 7, 9, 9])).tolist()
    [0, 1, 2, 0, 0, 1]
    """
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1])) if len(labels) else np.zeros(0, int)
    return np.arange(len(labels)) - np.repeat(starts, np.diff(np.append(starts, len(labels))))
