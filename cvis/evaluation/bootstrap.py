"""What a number would be on other test videos of the same kind: the Bayesian bootstrap over videos.

The unit is the video, since tracks and false positives within one depend on each other. Matching happens inside one
video, so another draw of videos changes no match, only weights: one draw is a weight for each video, the same for all
methods, steps, classes and metrics, which makes differences between methods paired.

Rubin, "The Bayesian Bootstrap", Annals of Statistics 1981: weights are exponential, so no video, and thus no class,
ever vanishes, as it would from a draw with replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cvis.evaluation.digest import Digest
from cvis.evaluation.protocol import MAX_DETECTIONS, METRICS, RECALLS, THRESHOLDS, outside

GRAIN = 2.0**-20
"""Weights are multiples of it, so that sums of them are exact: a class whose tracks are all found has recall 1."""


class Interval(NamedTuple):
    """An estimate and its 95 % interval; no interval where the estimate is undefined."""

    estimate: float | None
    low: float | None = None
    high: float | None = None


def video_weights(num_videos: int, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """[1 + draws, V]: a row of ones, which stands for the test set as it is, then the draws.

    >>> weights = video_weights(3, draws=2)
    >>> weights[0].tolist(), weights.shape, bool((weights > 0).all())
    ([1.0, 1.0, 1.0], (3, 3), True)
    """
    drawn = np.random.default_rng(seed).exponential(size=(draws, num_videos))
    return np.concatenate([np.ones((1, num_videos)), np.maximum(np.round(drawn / GRAIN), 1) * GRAIN])


def weighted_values(digest: Digest, weights: np.ndarray, metric: str = "mAP") -> np.ndarray:
    """One of the twelve numbers of every class, x100, under weights of the videos; NaN without ground truth.

    Whole weights give what the evaluator gives for a set in which each video is there so many times (where no two
    detections of one class and video have equal scores: copies of both would alternate there).

    Args:
        weights: [D, V], of ``digest.videos``.
        metric: ``mAP`` (of a single class its AP), ``AP50``, ``AR1``, .. of the official twelve.

    Returns:
        float64 [D, K], of ``digest.classes``.
    """
    rule = METRICS[metric]
    outcomes = digest.outcomes
    hit = outcomes.matched[:, rule.area] & ~outcomes.ignored[:, rule.area]  # [N, T]
    miss = ~(outcomes.matched[:, rule.area] | outcomes.ignored[:, rule.area])
    shown = digest.ranks < MAX_DETECTIONS[rule.limit]
    counted = ~outside(digest.gt_area)[:, rule.area] & ~digest.gt_crowd
    thresholds = range(len(THRESHOLDS)) if rule.threshold is None else [rule.threshold]
    values = np.full((len(weights), len(digest.classes)), np.nan)
    for k, category in enumerate(digest.classes):
        annotated = digest.gt_video[counted & (digest.gt_class == category)]
        if not annotated.size:
            continue
        tracks = weights[:, np.searchsorted(digest.videos, annotated)].sum(axis=1)  # [D]
        own = np.flatnonzero((digest.category == category) & shown)
        own = own[np.argsort(-digest.score[own], kind="stable")]
        each = weights[:, np.searchsorted(digest.videos, digest.video[own])]  # [D, n]
        curve = _recall if rule.curve == "recall" else _average_precision
        values[:, k] = 100 * np.mean([curve(each, hit[own, t], miss[own, t], tracks) for t in thresholds], axis=0)
    return values


def mean_over(values: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """The mean over some classes [D]; those without ground truth are left out, NaN where none is left."""
    chosen = values[:, list(columns)]
    defined = ~np.isnan(chosen[0])
    return chosen[:, defined].mean(axis=1) if defined.any() else np.full(len(values), np.nan)


def interval(values: np.ndarray) -> Interval:
    """The 95 % interval of a number, from its value as it is and its values in the draws.

    The percentile interval; where the draws lie off the estimate by more than a quarter of their deviation, as a mean
    of nonlinear numbers may, the basic one, mirrored at the estimate.

    Args:
        values: [1 + draws], as of :func:`video_weights`.

    >>> interval(np.array([50.0, *np.arange(101.0)]))
    Interval(estimate=50.0, low=2.5, high=97.5)
    """
    estimate, drawn = float(values[0]), values[1:]
    if np.isnan(values).any():
        return Interval(None if np.isnan(estimate) else estimate)
    low, high = (float(bound) for bound in np.quantile(drawn, [0.025, 0.975]))
    if abs(drawn.mean() - estimate) > drawn.std() / 4:
        low, high = 2 * estimate - high, 2 * estimate - low
    return Interval(estimate, low, high)


def _recall(each: np.ndarray, hit: np.ndarray, miss: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    return each[:, hit].sum(axis=1) / tracks


def _average_precision(each: np.ndarray, hit: np.ndarray, miss: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """[D], in [0, 1], of the detections of one class in order of score.

    Between two hits precision falls and recall stays, so the curve is known from its values at the hits.

    Args:
        each: [D, n], the weight of each detection's video.
        hit, miss: bool [n].
        tracks: [D], the weight of the annotated tracks.
    """
    at = np.flatnonzero(hit)
    right = np.cumsum(each[:, at], axis=1)  # [D, h]
    before = miss[:, None] & (np.arange(len(miss))[:, None] < at)
    precision = right / (right + each @ before.astype(float) + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, right / tracks[:, None], side="right")  # recall levels, [D, h]
    return (envelope * np.diff(reached, prepend=0, axis=1)).sum(axis=1) / len(RECALLS)
