"""Over a thousand random sets against stock COCOeval, and more with crowds against the rule in plain Python.

Precision and recall are compared whole and exactly. The predictions go in by every door in turn, and through
either kernel.
"""

from __future__ import annotations

import numpy as np
import pytest
from plain_rule import plain_rule
from pycocotools import mask as rle
from scored_sets import CLASSES, random_set
from stock_coco import stock_coco, twelve

from cvis.evaluation import Digest, VideoAP, score
from cvis.types import Tracks

pytestmark = [
    pytest.mark.usefixtures("small_ranges"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools
]

KERNELS = ("numba", "pycocotools")


def added(ground_truth, predictions):
    metric = VideoAP(ground_truth)
    for tracks in predictions:
        metric.add(tracks)
    return metric.digest()


def track_by_track(ground_truth, predictions):
    """One track at a time, videos interleaved, counts as strings: a results file that nobody sorted."""
    metric = VideoAP(ground_truth)
    for n in range(max((len(tracks) for tracks in predictions), default=0)):
        for tracks in predictions:
            if n < len(tracks):
                masks = tuple(m and {**m, "counts": m["counts"].decode()} for m in tracks.segmentations[n])
                metric.extend(
                    Tracks(tracks.video_id, tracks.category_ids[n : n + 1], tracks.scores[n : n + 1], (masks,))
                )
    return metric.digest()


def as_bitmaps(ground_truth, predictions):
    metric = VideoAP(ground_truth)
    for tracks in predictions:
        video = ground_truth.by_id[tracks.video_id]
        masks = np.zeros((len(tracks), len(video), video.height, video.width), np.uint8)
        for n, t in np.ndindex(*masks.shape[:2]):
            if tracks.segmentations[n][t] is not None:
                masks[n, t] = rle.decode(tracks.segmentations[n][t])
        masks = masks.astype(bool) if video.id % 2 else 255 * masks
        metric.add_masks(video.id, tracks.category_ids, tracks.scores, masks)
    return metric.digest()


def by_processes(ground_truth, predictions):
    """Three processes, each of which took every third video, in the wrong order."""
    return Digest.merge([added(ground_truth, predictions[rank::3][::-1]) for rank in (2, 0, 1)])


DOORS = (added, track_by_track, as_bitmaps, by_processes)


def random_cases(block: int, size: int):
    """(seed, set, door, kernel) of one block of seeds."""
    for seed in range(size * block, size * (block + 1)):
        yield seed, DOORS[seed % 4], KERNELS[seed // 4 % 2]


@pytest.mark.parametrize("block", range(21))
def test_equals_stock_cocoeval_on_joined_videos(block, monkeypatch):
    for seed, door, kernel in random_cases(block, 50):
        monkeypatch.setenv("CVIS_KERNEL", kernel)
        ground_truth, predictions = random_set(seed)
        result, stock = door(ground_truth, predictions).result(), stock_coco(ground_truth, predictions)
        case = f"seed {seed}, {door.__name__}, {kernel}"
        np.testing.assert_array_equal(result.precision, stock.eval["precision"], err_msg=case)
        np.testing.assert_array_equal(result.recall, stock.eval["recall"], err_msg=case)
        assert result.summary() == twelve(stock), case


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_equals_the_rule_said_in_plain_python_with_crowds(seed, monkeypatch):
    monkeypatch.setenv("CVIS_KERNEL", KERNELS[seed // 4 % 2])
    ground_truth, predictions = random_set(seed, crowds=True)
    result = DOORS[seed % 4](ground_truth, predictions).result()
    precision, recall = plain_rule(ground_truth, predictions)
    np.testing.assert_array_equal(result.precision, precision)
    np.testing.assert_array_equal(result.recall, recall)


@pytest.mark.parametrize("seed", range(2000, 2010))
def test_a_subset_of_classes_is_an_average_of_one_evaluation(seed):
    ground_truth, predictions = random_set(seed)
    digest = added(ground_truth, predictions)
    for classes in (CLASSES[:2], CLASSES[2:], CLASSES[1:2]):
        expected = twelve(stock_coco(ground_truth, predictions, classes))
        assert digest.result().summary(classes) == expected
        assert digest.result(classes).summary() == expected
        assert score(ground_truth, predictions, classes).summary() == expected


@pytest.mark.parametrize("seed", range(3000, 3020))
def test_videos_with_gt_equal_stock_cocoeval_on_those_videos(seed):
    ground_truth, predictions = random_set(seed)
    digest = added(ground_truth, predictions)
    for classes in (CLASSES, CLASSES[:2], CLASSES[1:2]):
        videos = [v.id for v in ground_truth.videos if ground_truth.classes_of(v.id) & set(classes)]
        result = digest.result(classes, videos="with_gt")
        assert (result.videos, result.num_videos) == ("with_gt", len(videos))
        if videos:
            stock = stock_coco(ground_truth, predictions, classes, videos)
            np.testing.assert_array_equal(result.precision, stock.eval["precision"])
            np.testing.assert_array_equal(result.recall, stock.eval["recall"])
        else:
            assert set(result.summary().values()) == {None}
