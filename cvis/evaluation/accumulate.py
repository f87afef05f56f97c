"""From matches to precision and recall of one class."""

from __future__ import annotations

import numpy as np

from cvis.evaluation.match import Outcomes, places
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
    areas = np.flatnonzero(num_gt)
    order = np.argsort(-scores, kind="stable")
    matched, ignored, ranks = outcomes.matched[order][:, areas], outcomes.ignored[order][:, areas], ranks[order]
    hits, misses = matched & ~ignored, ~(matched | ignored)
    curves, shown = None, -1
    for m, limit in enumerate(MAX_DETECTIONS):
        kept = ranks < limit
        if curves is None or kept.sum() > shown:  # else the limit shows no more than the one before
            curves, shown = _curves(hits[kept], misses[kept], num_gt[areas]), kept.sum()
        precision[:, :, areas, m], recall[:, areas, m] = curves
    return precision, recall


def _curves(hits: np.ndarray, misses: np.ndarray, num_gt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolated precision [T, R, A] and final recall [T, A], from hits and misses [N, A, T] in order of score.

    Between two hits precision falls and recall stays, so the curve is known from its values at the hits.
    """
    num_hits = hits.sum(axis=0)  # [A, T]
    area, threshold, row = np.nonzero(hits.transpose(1, 2, 0))
    right = 1 + places(area * len(THRESHOLDS) + threshold)
    wrong = np.cumsum(misses, axis=0)[row, area, threshold]
    at_hit = np.zeros((*num_hits.shape, 1 + max(num_hits.max(initial=0), num_gt.max(initial=0))))
    at_hit[area, threshold, right - 1] = right / (right + wrong + np.spacing(1))
    envelope = np.maximum.accumulate(at_hit[..., ::-1], axis=-1)[..., ::-1]  # 0 at recalls that are never reached
    needed = [np.searchsorted(np.arange(n + 1) / n, RECALLS) for n in num_gt]  # hits up to each recall level
    curves = [precisions[:, np.maximum(hits - 1, 0)] for precisions, hits in zip(envelope, needed, strict=True)]
    shape = (len(num_gt), len(THRESHOLDS), len(RECALLS))
    return np.reshape(curves, shape).transpose(1, 2, 0), (num_hits / num_gt[:, None]).T
