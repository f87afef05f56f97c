"""Corners of the matching rule that random sets visit too rarely."""

from __future__ import annotations

import numpy as np
import pytest
from plain_rule import match_one

from cvis.evaluation.match import Outcomes, Pairs, match
from cvis.evaluation.protocol import AREAS, THRESHOLDS, outside


def outcomes_of(ious, crowd=None, gt_areas=None, areas=None) -> Outcomes:
    """Of one block; detections are listed best first."""
    ious = np.array(ious, dtype=float)
    num, num_gt = ious.shape
    crowd = np.zeros(num_gt, dtype=bool) if crowd is None else np.array(crowd)
    gt_areas = np.full(num_gt, 50.0) if gt_areas is None else np.array(gt_areas, dtype=float)
    areas = np.full(num, 50.0) if areas is None else np.array(areas, dtype=float)
    d, g = np.nonzero(ious)
    return match(np.zeros(num, int), outside(areas), Pairs(d, g, ious[d, g]), outside(gt_areas) | crowd[:, None], crowd)


def named(outcomes: Outcomes, threshold: int = 0, area: int = 0) -> list[str]:
    names = {(True, False): "hit", (False, False): "miss", (True, True): "ignored", (False, True): "ignored"}
    pairs = zip(outcomes.matched[:, area, threshold], outcomes.ignored[:, area, threshold], strict=True)
    return [names[bool(m), bool(i)] for m, i in pairs]


def test_of_equal_ious_the_last_track_is_taken():
    assert named(outcomes_of([[0.8, 0.8], [0.8, 0.0]])) == ["hit", "hit"]
    assert named(outcomes_of([[0.8, 0.8], [0.0, 0.8]])) == ["hit", "miss"]


def test_counted_tracks_come_before_ignored_ones_of_higher_iou():
    outcomes = outcomes_of([[0.6, 0.9]], crowd=[False, True])
    assert named(outcomes) == ["hit"]
    assert named(outcomes, threshold=5) == ["ignored"]  # at 0.75 only the crowd is left


def test_a_crowd_is_taken_again_and_again_another_track_once():
    assert named(outcomes_of([[0.9], [0.8]], crowd=[True])) == ["ignored", "ignored"]
    assert named(outcomes_of([[0.9], [0.8]])) == ["hit", "miss"]


def test_tracks_outside_the_area_range_are_ignored_with_their_detections():
    outcomes = outcomes_of([[0.9], [0.0]], gt_areas=[20000.0])
    assert named(outcomes, area=0) == ["hit", "miss"]
    assert named(outcomes, area=1) == ["ignored", "miss"]  # a small detection on a medium track
    assert named(outcomes, area=2) == ["hit", "ignored"]


def test_an_iou_equal_to_the_threshold_matches():
    assert outcomes_of([[0.5]]).matched[0, 0].tolist() == [True] + [False] * 9
    assert outcomes_of([[1.0]]).matched.all()
    assert not outcomes_of([[np.nextafter(0.5, 0)]]).matched.any()


def test_nobody_to_match():
    assert named(outcomes_of(np.zeros((0, 3)))) == []
    assert named(outcomes_of(np.zeros((2, 0)))) == ["miss", "miss"]
    assert named(outcomes_of(np.zeros((2, 0))), area=3) == ["ignored", "ignored"]


def test_blocks_know_nothing_of_each_other():
    alone = outcomes_of([[0.6, 0.7], [0.9, 0.6]])
    pairs = Pairs(np.array([0, 0, 1, 1, 2, 3]), np.array([0, 1, 0, 1, 2, 2]), np.array([0.6, 0.7, 0.9, 0.6, 0.8, 0.9]))
    none = np.zeros((4, 4), dtype=bool)
    both = match(np.array([0, 0, 1, 1]), none, pairs, none[:3], none[0, :3])
    assert named(Outcomes(both.matched[:2], both.ignored[:2])) == named(alone)
    assert named(Outcomes(both.matched[2:], both.ignored[2:])) == ["hit", "miss"]


@pytest.mark.parametrize("seed", range(40))
def test_equals_one_loop_per_detection_and_track(seed):
    rng = np.random.default_rng(seed)
    num, num_gt = rng.integers(1, 12), rng.integers(1, 6)
    ious = np.round(rng.random((num, num_gt)) * 0.6 + 0.4, 1)  # many ties, many on a threshold
    crowd, sizes = rng.random(num_gt) < 0.3, np.array([100.0, 128.0**2, 20000.0, 256.0**2, 1e6])
    gt_areas, areas = rng.choice(sizes, num_gt), rng.choice(sizes, num)
    outcomes = outcomes_of(ious, crowd, gt_areas, areas)
    targets = [{"crowd": c, "area": a} for c, a in zip(crowd, gt_areas, strict=True)]
    detections = [{"area": a} for a in areas]
    for a, area_range in enumerate(AREAS.tolist()):
        for t, threshold in enumerate(THRESHOLDS.tolist()):
            expected, _ = match_one(targets, detections, ious, area_range, threshold)
            assert named(outcomes, t, a) == expected
