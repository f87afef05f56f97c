"""From matches to precision and recall of one class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvis.evaluation.match import Matches
from cvis.evaluation.protocol import AREAS, MAX_DETECTIONS, RECALLS, THRESHOLDS

UNDEFINED = -1.0
"""In precision and recall: the class has no ground truth in this area range."""


def accumulate(blocks: Sequence[Matches]) -> tuple[np.ndarray, np.ndarray]:
    """Precision [T, R, A, M] and recall [T, A, M] of one class over all its videos.

    Args:
        blocks: the class's matches, one per video in ascending order of video id: equal scores keep this
            order, so the result is a function of the predictions and not of the order they came in.
    """
    precision = np.full((len(THRESHOLDS), len(RECALLS), len(AREAS), len(MAX_DETECTIONS)), UNDEFINED)
    recall = np.full((len(THRESHOLDS), len(AREAS), len(MAX_DETECTIONS)), UNDEFINED)
    num_gt = sum((b.num_gt for b in blocks), start=np.zeros(len(AREAS), dtype=int))
    if not num_gt.any():
        return precision, recall
    order = np.argsort(-np.concatenate([b.scores for b in blocks]), kind="stable")
    rank = np.concatenate([np.arange(len(b.scores)) for b in blocks])[order]
    matched = np.concatenate([b.matched for b in blocks])[order]
    ignored = np.concatenate([b.ignored for b in blocks])[order]
    hits, misses = matched & ~ignored, ~matched & ~ignored
    for m, limit in enumerate(MAX_DETECTIONS):
        kept = rank < limit
        for a in np.flatnonzero(num_gt):
            precision[:, :, a, m], recall[:, a, m] = _curves(hits[kept, a], misses[kept, a], num_gt[a])
    return precision, recall


def _curves(hits: np.ndarray, misses: np.ndarray, num_gt: int) -> tuple[np.ndarray, np.ndarray]:
    """Interpolated precision [T, R] and final recall [T], from hits and misses [N, T] in order of score."""
    right = np.cumsum(hits, axis=0, dtype=np.float64).T  # [T, N]
    wrong = np.cumsum(misses, axis=0, dtype=np.float64).T
    recalls = right / num_gt
    precisions = right / (right + wrong + np.spacing(1))
    envelope = np.maximum.accumulate(precisions[:, ::-1], axis=1)[:, ::-1]
    reached = np.pad(envelope, ((0, 0), (0, 1)))  # a recall that is never reached has precision 0
    curve = np.stack([p[np.searchsorted(r, RECALLS)] for p, r in zip(reached, recalls, strict=True)])
    return curve, recalls[:, -1] if len(hits) else np.zeros(len(THRESHOLDS))
