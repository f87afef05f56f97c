"""From matches to precision and recall of one class."""

from __future__ import annotations

import numpy as np

from cvis.evaluation.match import Outcomes
from cvis.evaluation.protocol import MAX_DETECTIONS, RECALLS, THRESHOLDS

UNDEFINED = -1.0
"""In precision and recall: the class has no ground truth in this area range."""


def accumulate(
    scores: np.ndarray, ranks: np.ndarray, outcomes: Outcomes, num_gt: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Precision [T, R, A, M] and recall [T, A, M] of one class over all its videos.

    Args:
        scores: [N], by ascending video id, best first within a video. Equal scores keep this order, so the
            result is a function of the predictions and not of the order in which they came.
        ranks: [N], places in the own video, from 0.
        outcomes: of the N detections.
        num_gt: [A], ground-truth tracks that count.
    """
    num_areas = len(num_gt)
    precision = np.full((len(THRESHOLDS), len(RECALLS), num_areas, len(MAX_DETECTIONS)), UNDEFINED)
    recall = np.full((len(THRESHOLDS), num_areas, len(MAX_DETECTIONS)), UNDEFINED)
    order = np.argsort(-scores, kind="stable")
    for a in np.flatnonzero(num_gt):
        hits = (outcomes.matched & ~outcomes.ignored)[order, a].T  # [T, N]
        misses = ~(outcomes.matched | outcomes.ignored)[order, a].T
        for m, limit in enumerate(MAX_DETECTIONS):
            kept = ranks[order] < limit
            precision[:, :, a, m], recall[:, a, m] = _curves(hits[:, kept], misses[:, kept], num_gt[a])
    return precision, recall


def _curves(hits: np.ndarray, misses: np.ndarray, num_gt: int) -> tuple[np.ndarray, np.ndarray]:
    """Interpolated precision [T, R] and final recall [T], from hits and misses [T, N] in order of score."""
    right = np.cumsum(hits, axis=1, dtype=np.float64)
    wrong = np.cumsum(misses, axis=1, dtype=np.float64)
    recalls = right / num_gt
    precisions = right / (right + wrong + np.spacing(1))
    envelope = np.maximum.accumulate(precisions[:, ::-1], axis=1)[:, ::-1]
    reached = np.pad(envelope, ((0, 0), (0, 1)))  # a recall that is never reached has precision 0
    curve = np.stack([p[np.searchsorted(r, RECALLS)] for p, r in zip(reached, recalls, strict=True)])
    return curve, hits.sum(axis=1) / num_gt
