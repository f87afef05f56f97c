"""Which detection finds which ground-truth track: greedy matching in one class of one video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvis.evaluation.protocol import AREAS, THRESHOLDS, outside

_LIMITS = np.minimum(THRESHOLDS, 1 - 1e-10)


@dataclass(frozen=True, slots=True)
class Block:
    """One class in one video: D detections, best first, against G ground-truth tracks in file order."""

    video_id: int
    category_id: int
    scores: np.ndarray  # [D], descending; equal scores in the order of arrival; D <= 100
    areas: np.ndarray  # [D], mean pixels per frame
    gt_areas: np.ndarray  # [G]
    gt_crowd: np.ndarray  # [G] bool
    ious: np.ndarray  # [D, G]


@dataclass(frozen=True, slots=True)
class Matches:
    """What became of D detections in every area range (A) and at every threshold (T)."""

    scores: np.ndarray  # [D]
    matched: np.ndarray  # [D, A, T] bool: found a ground-truth track
    ignored: np.ndarray  # [D, A, T] bool: neither right nor wrong
    num_gt: np.ndarray  # [A], ground-truth tracks that count


def match(block: Block) -> Matches:
    """Match one block by the official rule.

    Detections choose in the order of their scores. Each takes, of the tracks not yet taken, the one of the
    highest IoU at or above the threshold (of several with equal IoU the last), counted tracks before ignored
    ones. Crowds and tracks outside the area range are ignored; a crowd can be taken again and again. A
    detection that takes an ignored track is ignored; so is one that takes none and lies outside the range.

    >>> pair = np.array([0.9, 0.8]), np.array([50.0, 50.0]), np.array([50.0]), np.array([False])
    >>> matches = match(Block(1, 1, *pair, ious=np.array([[0.6], [0.9]])))
    >>> matches.matched[:, 0].astype(int).tolist()  # the surer detection blocks the better one up to IoU 0.6
    [[1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1, 1, 1, 0]]
    """
    num, shape = len(block.scores), (len(AREAS), len(THRESHOLDS))
    gt_ignored = (outside(block.gt_areas) | block.gt_crowd[:, None]).T  # [A, G]
    matched = np.zeros((num, *shape), dtype=bool)
    ignored = np.zeros((num, *shape), dtype=bool)
    free = np.ones((*shape, len(block.gt_areas)), dtype=bool)
    for d in np.flatnonzero((block.ious >= _LIMITS[0]).any(axis=1)):
        reachable = free & (block.ious[d] >= _LIMITS[:, None])  # [A, T, G]
        found, choice = _choose(block.ious[d], reachable, gt_ignored)
        matched[d] = found
        ignored[d] = found & np.take_along_axis(gt_ignored, choice, axis=1)
        taken = found[..., None] & (np.arange(len(block.gt_areas)) == choice[..., None])
        free &= ~taken | block.gt_crowd
    ignored |= ~matched & outside(block.areas)[:, :, None]
    return Matches(block.scores, matched, ignored, num_gt=(~gt_ignored).sum(axis=1))


def _choose(ious: np.ndarray, reachable: np.ndarray, gt_ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The track that one detection takes: (takes one, which), both [A, T], from reachable [A, T, G]."""
    counted = reachable & ~gt_ignored[:, None]
    candidates = np.where(counted.any(axis=2)[..., None], counted, reachable)
    keys = np.where(candidates, ious, -1.0)
    choice = len(ious) - 1 - keys[..., ::-1].argmax(axis=2)  # the last of the highest
    return np.any(candidates, axis=2), choice
