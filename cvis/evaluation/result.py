"""From matches to precision and recall; every number about every subset of classes is an average of these."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from cvis.evaluation.check import chosen_classes
from cvis.evaluation.match import Outcomes, places
from cvis.evaluation.protocol import MAX_DETECTIONS, METRICS, RECALLS, THRESHOLDS, Metric

UNDEFINED = -1.0
"""In precision and recall: the class has no ground truth in this area range."""


@dataclass(frozen=True)
class Result:
    """Precision and recall of K classes; -1 where a class has no ground truth in an area range.

    A class is matched and ranked on its own, so the numbers of a subset of classes equal those of an
    evaluation of this subset alone.
    """

    classes: tuple[int, ...]  # K data-set ids, ascending
    precision: np.ndarray  # [T, R, K, A, M], in [0, 1]
    recall: np.ndarray  # [T, K, A, M]
    missing_videos: tuple[int, ...] = ()  # videos for which no predictions came; they count as empty
    videos: str = "all"  # which ones were scored: all, or with_gt, those in which one of the classes is annotated
    num_videos: int = 0  # how many

    def summary(self, classes: Collection[int] | None = None) -> dict[str, float | None]:
        """The official twelve numbers over ``classes`` (default: all), x100, not rounded.

        Classes without ground truth are left out of the means; ``None`` where none is left.

        Raises:
            UserError: a class that was not evaluated.
        """
        chosen = chosen_classes(classes, self.classes, "among the evaluated classes")
        columns = [self.classes.index(category_id) for category_id in chosen]
        return {name: self._mean(metric, columns) for name, metric in METRICS.items()}

    def per_class(self) -> dict[int, dict[str, float | None]]:
        """The twelve numbers of each class, ``AP`` in place of ``mAP``; all None without ground truth."""
        table = {}
        for category_id in self.classes:
            numbers = self.summary([category_id])
            table[category_id] = {"AP": numbers.pop("mAP"), **numbers}
        return table

    def _mean(self, metric: Metric, columns: list[int]) -> float | None:
        curve = self.precision if metric.curve == "precision" else self.recall
        values = curve[..., columns, metric.area, metric.limit]
        if metric.threshold is not None:
            values = values[metric.threshold]
        defined = values[values > UNDEFINED]
        return 100 * float(defined.mean()) if defined.size else None


def mean_of_defined(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None if all are."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


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
