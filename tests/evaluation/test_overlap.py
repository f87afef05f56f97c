"""Areas and intersections recovered from pycocotools' quotients are exact integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scored_sets import encode, track_masks

from cvis.evaluation.overlap import track_ious

PAIRS = arrays.arrays(bool, st.tuples(*(st.just(2), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))))


def _rle(masks):
    return [encode(mask) for mask in masks]


@given(PAIRS)
@settings(max_examples=150, deadline=None)
def test_iou_is_the_quotient_of_pixel_counts(pair):
    one, other = pair
    tracks = [_rle(one)], [_rle(other)]
    assert track_masks(tracks[0]).areas.tolist() == [[int(mask.sum()) for mask in one]]
    intersection, union = int((one & other).sum()), int((one | other).sum())
    expected = intersection / union if union else 0.0
    iou = track_ious(*tracks, len(one))[0, 0]
    assert iou == expected if expected >= 0.5 else iou in (0.0, expected)


def test_intersections_of_large_frames_are_exact():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one = rng.random((1, 720, 1280)) < rng.random()
        other = one ^ (rng.random(one.shape) < 0.1 * rng.random())
        tracks = [_rle(one)], [_rle(other)]
        expected = int((one & other).sum()) / int((one | other).sum())
        if expected >= 0.5:
            assert track_ious(*tracks, 1)[0, 0] == expected


def test_more_masks_than_one_call_of_pycocotools_takes():
    mask = np.eye(5, dtype=bool)
    tracks = [_rle([mask, mask])] * 300
    assert (track_masks(tracks).areas == 5).all()
    assert (track_ious(tracks, tracks[:1], 2) == 1).all()
