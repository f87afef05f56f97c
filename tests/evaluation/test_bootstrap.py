"""Weighted videos against the evaluator on videos that are there several times, and intervals on known numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scored_sets import random_set, set_of

from cvis.evaluation import VideoAP, score
from cvis.evaluation.bootstrap import interval, mean_over, video_weights, weighted_values
from cvis.evaluation.protocol import METRICS


def distinct(tracks):
    """Without equal scores within a video; between videos they stay."""
    return replace(tracks, scores=tuple(s + n * 1e-9 for n, s in enumerate(tracks.scores)))


def copies(ground_truth, predictions, times):
    """Each video so many times, its copies side by side."""
    videos, tracks, predicted = [], [], []
    by_id = {p.video_id: p for p in predictions}
    for video, n in zip(ground_truth.videos, times, strict=True):
        for i in range(n):
            new = video.id * 10 + i
            videos.append(replace(video, id=new))
            tracks += [replace(t, id=10 * t.id + i, video_id=new) for t in ground_truth.tracks[video.id]]
            if video.id in by_id:
                predicted.append(replace(by_id[video.id], video_id=new))
    return set_of(videos, tracks), predicted


def test_whole_weights_are_copies_of_videos():
    """All twelve numbers; the sets' objects are small, so those of medium and large ones are undefined."""
    compared = dict.fromkeys(METRICS, 0)
    for seed in range(12):
        ground_truth, predictions = random_set(seed, crowds=True)
        predictions = [distinct(p) for p in predictions]
        metric = VideoAP(ground_truth)
        for p in predictions:
            metric.add(p)
        times = np.random.default_rng(seed).integers(1, 4, size=len(ground_truth.videos))
        weights = np.stack([np.ones(len(times)), times])
        values = {name: weighted_values(metric.digest(), weights, name) for name in METRICS}
        for row, many in enumerate(([1] * len(times), times)):
            expected = score(*copies(ground_truth, predictions, many))
            per_class = [{"mAP": numbers["AP"], **numbers} for numbers in expected.per_class().values()]
            for name in METRICS:
                wanted = [np.nan if numbers[name] is None else numbers[name] for numbers in per_class]
                np.testing.assert_allclose(values[name][row], wanted, rtol=0, atol=1e-11)
                total = expected.summary()[name]
                mean = mean_over(values[name], range(len(per_class)))[row]
                np.testing.assert_allclose(mean, np.nan if total is None else total, rtol=0, atol=1e-11)
                compared[name] += bool(total)
    assert min(compared[name] for name in ("mAP", "AP50", "AP75", "APs", "AR1", "AR10", "AR100", "ARs")) > 5


def test_a_class_that_is_found_whole_stays_at_100():
    """Sums of weights must be exact, or the last of the 101 recall levels is lost now and then."""
    weights = video_weights(300, draws=500)
    assert (weights > 0).all()
    assert (np.cumsum(weights, axis=1)[:, -1] == weights[:, ::-1].sum(axis=1)).all()


def test_the_interval_covers_as_often_as_it_says():
    """Means of 40 exponential numbers: the truth, 1, lies in about 95 of 100 intervals."""
    rng = np.random.default_rng(3)
    weights = video_weights(40, draws=400)
    inside = 0
    for _ in range(300):
        sample = rng.exponential(size=40)
        _, low, high = interval(weights @ sample / weights.sum(axis=1))
        inside += low <= 1 <= high
    assert 265 <= inside <= 292


def test_draws_that_lie_off_are_mirrored_and_the_undefined_have_no_interval():
    drawn = np.linspace(60, 70, 101)
    assert interval(np.array([65.0, *drawn])) == pytest.approx((65.0, 60.25, 69.75))
    assert interval(np.array([60.0, *drawn])) == pytest.approx((60.0, 50.25, 59.75))
    assert interval(np.array([np.nan, np.nan])) == (None, None, None)
