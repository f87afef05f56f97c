"""Windows are put together: hand-made masks that cross, vanish, and come back."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvis.data.rle import encode
from cvis.segmenters.stitching import Found, Stitcher, mean_iou, windows

HEIGHT, WIDTH = 16, 64


def square(left, side=6, top=4):
    """A mask, or None for a place outside of the frame."""
    if left is None:
        return None
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + side, left : left + side] = True
    return encode(mask)


def instance(start, column, lefts, score=0.5, top=4):
    return Found(start, column, [score] * len(lefts), [square(left, top=top) for left in lefts])


def lefts(found):
    """Where the squares are."""
    from pycocotools import mask as coco_mask

    return [None if m is None else int(np.flatnonzero(coco_mask.decode(m).any(0))[0]) for m in found.masks]


@given(st.integers(1, 200), st.integers(1, 12), st.integers(0, 11))
def test_windows_cover_the_video(length, size, overlap):
    overlap = min(overlap, size - 1)
    spans = list(windows(length, size, overlap))
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(end - start == min(size, length) for start, end in spans)
    assert all(before[1] - after[0] >= overlap for before, after in itertools.pairwise(spans))
    assert len(spans) == max(1, -(-(length - overlap) // (size - overlap)))


def test_mean_iou_is_over_the_frames_that_show_one():
    assert mean_iou([square(0), None, None], [square(0), None, square(9)]) == 0.5
    assert mean_iou([square(0)], [square(3)]) == pytest.approx(18 / 54)
    assert mean_iou([None], [None]) == mean_iou([], []) == 0


def test_two_that_cross_keep_their_names():
    """One goes right and one goes left, below each other; the second window lists them the other way round."""
    right, left = [0, 8, 16, 24, 32, 40], [40, 32, 24, 16, 8, 0]
    stitcher = Stitcher()
    stitcher.add(0, 4, [instance(0, 1, right[:4], 0.9), instance(0, 1, left[:4], 0.3, top=6)])
    stitcher.add(2, 6, [instance(2, 1, left[2:], 0.6, top=6), instance(2, 1, right[2:], 0.1)])
    first, second = stitcher.found
    assert (lefts(first), lefts(second)) == (right, left)
    assert first.score == pytest.approx((4 * 0.9 + 2 * 0.1) / 6)  # in shared frames the earlier window is believed
    assert second.score == pytest.approx((4 * 0.3 + 2 * 0.6) / 6)


def test_other_classes_and_little_overlap_are_others():
    stitcher = Stitcher(min_iou=0.5)
    stitcher.add(0, 2, [instance(0, 1, [0, 0]), instance(0, 2, [20, 20])])
    stitcher.add(1, 3, [instance(1, 2, [0, 0]), instance(1, 2, [23, 23])])
    assert [(found.start, found.column, lefts(found)) for found in stitcher.found] == [
        (0, 1, [0, 0]), (0, 2, [20, 20]), (1, 2, [0, 0]), (1, 2, [23, 23])
    ]  # fmt: skip


def test_one_that_vanishes_before_the_border_ends_there():
    """And who comes back is new: nothing says that it is the same."""
    stitcher = Stitcher()
    stitcher.add(0, 4, [instance(0, 1, [0, 0, None, None]), instance(0, 1, [30, 30, 30, 30])])
    stitcher.add(2, 6, [instance(2, 1, [30, 30, 30, None]), instance(2, 1, [None, None, 0, 0])])
    assert [(found.start, lefts(found)) for found in stitcher.found] == [
        (0, [0, 0, None, None]), (0, [30, 30, 30, 30, 30, None]), (2, [None, None, 0, 0])
    ]  # fmt: skip


def test_after_an_empty_window_all_are_new():
    stitcher = Stitcher()
    stitcher.add(0, 2, [instance(0, 1, [0, 0])])
    stitcher.add(1, 3, [])
    stitcher.add(2, 4, [instance(2, 1, [0, 0])])
    assert [(found.start, len(found.masks)) for found in stitcher.found] == [(0, 2), (2, 2)]


def test_one_frame():
    stitcher = Stitcher()
    stitcher.add(0, 1, [instance(0, 1, [5], 0.7)])
    assert [(found.score, lefts(found)) for found in stitcher.found] == [(0.7, [5])]


def test_a_hundred_frames():
    """Three that wander, each window in an order of its own: three tracks come out, whole."""
    draw = random.Random(0)
    ways = [[(7 * t // (3 + k) + 11 * k) % (WIDTH - 8) for t in range(100)] for k in range(3)]
    stitcher = Stitcher()
    for start, end in windows(100, 6, 1):
        order = draw.sample(range(3), 3)
        stitcher.add(start, end, [instance(start, 4, ways[k][start:end], top=5 * k) for k in order])
    assert len(stitcher.found) == 3
    assert sorted(map(lefts, stitcher.found)) == sorted(ways)
