"""Corners of the matching rule that random sets visit too rarely."""

from __future__ import annotations

import numpy as np

from cvis.evaluation.match import Block, Matches, match


def matches_of(ious, crowd=None, gt_areas=None) -> Matches:
    ious = np.array(ious, dtype=float)
    num, num_gt = ious.shape
    return match(
        Block(
            video_id=1,
            category_id=1,
            scores=np.linspace(0.9, 0.1, num),
            areas=np.full(num, 50.0),
            gt_areas=np.full(num_gt, 50.0) if gt_areas is None else np.array(gt_areas, dtype=float),
            gt_crowd=np.zeros(num_gt, dtype=bool) if crowd is None else np.array(crowd),
            ious=ious,
        )
    )


def outcome(matches: Matches, threshold: int = 0, area: int = 0) -> list[str]:
    names = {(True, False): "hit", (False, False): "miss", (True, True): "ignored", (False, True): "ignored"}
    pairs = zip(matches.matched[:, area, threshold], matches.ignored[:, area, threshold], strict=True)
    return [names[bool(m), bool(i)] for m, i in pairs]


def test_of_equal_ious_the_last_track_is_taken():
    assert outcome(matches_of([[0.8, 0.8], [0.8, 0.0]])) == ["hit", "hit"]
    assert outcome(matches_of([[0.8, 0.8], [0.0, 0.8]])) == ["hit", "miss"]


def test_counted_tracks_come_before_ignored_ones_of_higher_iou():
    matches = matches_of([[0.6, 0.9]], crowd=[False, True])
    assert outcome(matches) == ["hit"]
    assert outcome(matches, threshold=5) == ["ignored"]  # at 0.75 only the crowd is left
    assert matches.num_gt.tolist() == [1, 1, 0, 0]


def test_a_crowd_is_taken_again_and_again_another_track_once():
    assert outcome(matches_of([[0.9], [0.8]], crowd=[True])) == ["ignored", "ignored"]
    assert outcome(matches_of([[0.9], [0.8]])) == ["hit", "miss"]


def test_tracks_outside_the_area_range_are_ignored_with_their_detections():
    matches = matches_of([[0.9], [0.0]], gt_areas=[20000.0])
    assert outcome(matches, area=0) == ["hit", "miss"]
    assert outcome(matches, area=1) == ["ignored", "miss"]  # a small detection on a medium track
    assert outcome(matches, area=2) == ["hit", "ignored"]
    assert matches.num_gt.tolist() == [1, 0, 1, 0]


def test_an_iou_equal_to_the_threshold_matches():
    assert matches_of([[0.5]]).matched[0, 0].tolist() == [True] + [False] * 9
    assert matches_of([[1.0]]).matched.all()
    assert not matches_of([[np.nextafter(0.5, 0)]]).matched.any()


def test_nobody_to_match():
    assert matches_of(np.zeros((0, 3))).num_gt.tolist() == [3, 3, 0, 0]
    assert outcome(matches_of(np.zeros((2, 0)))) == ["miss", "miss"]
    assert outcome(matches_of(np.zeros((2, 0))), area=3) == ["ignored", "ignored"]
