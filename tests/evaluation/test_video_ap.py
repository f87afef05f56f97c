"""VideoAP against two independent oracles, and the corners where it differs from the official code."""

from __future__ import annotations

import numpy as np
import pytest
from scored_sets import encode, random_set, set_of, track_of, tracks_of, video_of

from cvis.errors import UserError
from cvis.evaluation import VideoAP, score
from cvis.evaluation.protocol import METRICS
from cvis.types import Tracks

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

LEFT, RIGHT = np.zeros((8, 8), dtype=bool), np.zeros((8, 8), dtype=bool)
LEFT[:, :4] = RIGHT[:, 4:] = True


def test_true_area_ranges_include_both_ends():
    mask = np.ones((128, 128), dtype=bool)  # 128**2 pixels: small and medium
    video = video_of(1, 2, 128, 128)
    ground_truth = set_of([video], [track_of(1, 1, 3, [mask, None])])
    summary = score(ground_truth, [tracks_of(1, (3, 0.5, [mask, None]))]).summary()
    assert summary["APs"] == summary["APm"] == summary["mAP"] == pytest.approx(100)
    assert summary["APl"] is None
    assert summary["ARl"] is None


def test_the_area_of_a_ground_truth_track_is_its_areas_field():
    video = video_of(1, 1)
    track = track_of(1, 1, 3, [LEFT])
    far = type(track)(track.id, 1, 3, track.segmentations, areas=(70000.0,))
    summary = score(set_of([video], [far]), [tracks_of(1, (3, 0.5, [LEFT]))]).summary()
    assert (summary["ARs"], summary["ARl"]) == (None, 100.0)


def test_no_predictions_score_zero_and_classes_without_ground_truth_none():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [LEFT])])
    metric = VideoAP(ground_truth)
    assert metric.missing_videos == (1,)
    result = metric.result()
    assert result.missing_videos == (1,)
    assert result.summary()["mAP"] == result.summary()["AR100"] == 0.0
    assert result.summary([7]) == dict.fromkeys(METRICS)
    assert result.per_class()[7] == dict.fromkeys(["AP", *list(METRICS)[1:]])
    assert result.per_class()[3]["AP50"] == 0.0


def test_detections_of_a_class_without_ground_truth_cost_nothing_but_strays_do():
    videos = [video_of(1, 1), video_of(2, 1)]
    ground_truth = set_of(videos, [track_of(1, 1, 3, [LEFT])])
    right = tracks_of(1, (3, 0.5, [LEFT]), (7, 0.9, [LEFT]))
    assert score(ground_truth, [right]).summary()["mAP"] == pytest.approx(100)
    stray = tracks_of(2, (3, 0.9, [LEFT]))
    assert score(ground_truth, [right, stray]).summary()["mAP"] == pytest.approx(50)


def test_a_track_with_id_0_can_be_found():
    ground_truth = set_of([video_of(1, 1)], [track_of(0, 1, 3, [LEFT])])
    assert score(ground_truth, [tracks_of(1, (3, 0.5, [LEFT]))]).summary()["AR100"] == 100.0


def test_limits_hold_per_video_and_class():
    tracks = [track_of(1, 1, 3, [LEFT]), track_of(2, 1, 3, [RIGHT]), track_of(3, 1, 7, [LEFT])]
    predicted = tracks_of(1, (3, 0.9, [LEFT]), (3, 0.8, [RIGHT]), (7, 0.1, [LEFT]))
    assert score(set_of([video_of(1, 1)], tracks), [predicted]).summary()["AR1"] == 75.0


def test_the_101st_detection_of_a_class_is_not_seen():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [LEFT])])
    strays = [(3, 0.9, [RIGHT])] * 100
    assert score(ground_truth, [tracks_of(1, *strays[:99], (3, 0.1, [LEFT]))]).summary()["AR100"] == 100.0
    assert score(ground_truth, [tracks_of(1, *strays, (3, 0.1, [LEFT]))]).summary()["AR100"] == 0.0


def test_an_encoded_empty_mask_is_an_absent_one():
    ground_truth = set_of([video_of(1, 2)], [track_of(1, 1, 3, [LEFT, None])])
    summaries = [
        score(ground_truth, [tracks_of(1, (3, 0.5, [LEFT, second]))]).summary() for second in (None, LEFT & RIGHT)
    ]
    assert summaries[0] == summaries[1]
    assert summaries[0]["AR100"] == 100.0


def test_an_absent_track_still_has_its_area_in_the_union():
    ground_truth = set_of([video_of(1, 3)], [track_of(1, 1, 3, [LEFT, LEFT, LEFT])])
    summary = score(ground_truth, [tracks_of(1, (3, 0.5, [LEFT, LEFT, None]))]).summary()
    assert summary["AR100"] == 40.0  # IoU 2/3: four of ten thresholds
    longer = set_of([video_of(1, 3)], [track_of(1, 1, 3, [LEFT, LEFT, None])])
    assert score(longer, [tracks_of(1, (3, 0.5, [LEFT, LEFT, LEFT]))]).summary()["AR100"] == 40.0


def test_a_detection_of_one_frame_does_not_find_a_track_of_three():
    """The official evaluator accepts a list of one mask and compares one frame; ours must be told of all three."""
    ground_truth = set_of([video_of(1, 3)], [track_of(1, 1, 3, [LEFT] * 3)])
    assert score(ground_truth, [tracks_of(1, (3, 0.5, [LEFT, None, None]))]).summary()["AR100"] == 0.0
    with pytest.raises(UserError, match="segmentations: 1 entries, but video 1 has 3 frames"):
        score(ground_truth, [tracks_of(1, (3, 0.5, [LEFT]))])


def test_the_area_of_a_track_is_the_mean_over_the_frames_in_which_it_is_visible():
    video, whole = video_of(1, 4, 200, 200), np.ones((200, 200), dtype=bool)
    masks = [whole, None, ~whole, whole]  # 40,000 pixels where visible: medium; over all four frames 20,000
    summary = score(set_of([video], [track_of(1, 1, 3, masks)]), [tracks_of(1, (3, 0.5, masks))]).summary()
    assert (summary["ARs"], summary["ARm"], summary["ARl"]) == (None, 100.0, None)
    mostly = np.zeros((200, 200), dtype=bool)
    mostly[:125] = True  # 25,000; with the empty frames counted it would be small
    summary = score(set_of([video], [track_of(1, 1, 3, [mostly, None, None, None])]), []).summary()
    assert (summary["ARs"], summary["ARm"]) == (None, 0.0)


def test_an_unmatched_detection_outside_the_area_range_is_ignored_in_it():
    video = video_of(1, 1, 200, 200)
    large, small = np.ones((200, 200), dtype=bool), np.zeros((200, 200), dtype=bool)
    small[:10, :10] = True
    ground_truth = set_of([video], [track_of(1, 1, 3, [large])])
    summary = score(ground_truth, [tracks_of(1, (3, 0.9, [small]), (3, 0.5, [large]))]).summary()
    assert summary["mAP"] == pytest.approx(50)
    assert summary["APm"] == pytest.approx(100)


def test_a_detection_within_a_crowd_below_the_threshold_is_a_false_positive():
    corner = np.zeros((8, 8), dtype=bool)
    corner[0, 4:] = True  # inside the crowd; the image evaluator would ignore it
    tracks = [track_of(1, 1, 3, [LEFT]), track_of(2, 1, 3, [RIGHT], iscrowd=True)]
    predicted = [(3, 0.9, [corner]), (3, 0.5, [LEFT])]
    assert score(set_of([video_of(1, 1)], tracks), [tracks_of(1, *predicted)]).summary()["mAP"] == pytest.approx(50)


def test_a_class_with_ground_truth_and_no_detection_counts_as_zero():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [LEFT]), track_of(2, 1, 7, [RIGHT])])
    result = score(ground_truth, [tracks_of(1, (3, 0.5, [LEFT]))])
    assert (result.per_class()[7]["AP"], result.per_class()[7]["AR100"]) == (0.0, 0.0)
    assert result.summary()["mAP"] == pytest.approx(50)


def test_map_is_the_mean_of_the_classes_with_ground_truth():
    for seed in (3, 8, 9):
        result = score(*random_set(seed))
        rows = [row["AP"] for row in result.per_class().values() if row["AP"] is not None]
        assert result.summary()["mAP"] == pytest.approx(sum(rows) / len(rows), abs=1e-12)


def test_of_equal_scores_within_a_video_the_first_in_the_file_is_ranked_first():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [LEFT])])
    right, wrong = (3, 0.5, [LEFT]), (3, 0.5, [RIGHT])
    assert score(ground_truth, [tracks_of(1, right, wrong)]).summary()["mAP"] == pytest.approx(100)
    assert score(ground_truth, [tracks_of(1, wrong, right)]).summary()["mAP"] == pytest.approx(50)


def test_of_equal_scores_in_two_videos_the_lower_video_id_is_ranked_first():
    for first, expected in ((1, 100), (2, 50)):
        ground_truth = set_of([video_of(1, 1), video_of(2, 1)], [track_of(1, first, 3, [LEFT])])
        predicted = [tracks_of(3 - first, (3, 0.5, [LEFT])), tracks_of(first, (3, 0.5, [LEFT]))]
        for order in (predicted, predicted[::-1]):
            assert score(ground_truth, order).summary()["mAP"] == pytest.approx(expected)


def test_of_two_tracks_with_equal_iou_the_last_is_taken():
    top, bottom = LEFT.copy(), LEFT.copy()
    top[0], bottom[7] = False, False  # LEFT has IoU 7/8 with both, they 6/8 with each other
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [top]), track_of(2, 1, 3, [bottom])])
    for second, recall in ((top, 1.0), (bottom, 0.5)):
        result = score(ground_truth, [tracks_of(1, (3, 0.9, [LEFT]), (3, 0.8, [second]))])
        assert result.recall[6, 0, 0, 2] == recall  # at IoU 0.8: LEFT has taken the bottom one


def test_boundaries_of_the_area_ranges_belong_to_both_sides():
    for height, expected in ((127, "s"), (128, "sm"), (129, "m"), (511, "m"), (512, "ml"), (513, "l")):
        mask = np.ones((height, 128), dtype=bool)  # 128 x 128 and 128 x 512 = 256**2 pixels
        video = video_of(1, 1, height, 128)
        summary = score(set_of([video], [track_of(1, 1, 3, [mask])]), [tracks_of(1, (3, 0.5, [mask]))]).summary()
        assert "".join(size for size in "sml" if summary[f"AR{size}"] == 100.0) == expected
        assert [summary[f"AR{size}"] for size in "sml" if size not in expected] == [None] * (3 - len(expected))


LEFT_RLE, LARGE_RLE = encode(LEFT), encode(np.ones((9, 8), dtype=bool))
DAMAGED = {"size": [8, 8], "counts": b"0" + LEFT_RLE["counts"] + b"o9o9"}


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (Tracks(5, (), (), ()), "video 5: video_id: not in the ground truth"),
        (Tracks(1, (3,), (0.5,), ((LEFT_RLE,),)), "video 1: track 0: segmentations: 1 entries, but .* has 2 frames"),
        (Tracks(1, (3,), (0.5,), ((LEFT_RLE,) * 3,)), "segmentations: 3 entries"),
        (
            Tracks(1, (3, 3), (0.5, 0.4), ((None, None), (LEFT_RLE, LARGE_RLE))),
            r"video 1: track 1: segmentations\[1\].size: \[9, 8\]: video 1 is \[8, 8\]",
        ),
        (Tracks(1, (4,), (0.5,), ((None, None),)), "video 1: track 0: category_id: 4: not in the ground truth"),
        (Tracks(1, (3,), (float("nan"),), ((None, None),)), "video 1: track 0: score: nan: not finite"),
        (Tracks(1, (3, 3), (0.5,), ((None, None),)), "of lengths 2, 1, 1"),
        (Tracks(1, (3,), (0.5,), ((DAMAGED, None),)), r"track 0: segmentations\[0\].counts: .* damaged"),
    ],
)
def test_malformed_predictions_are_named(tracks, message):
    metric = VideoAP(set_of([video_of(1, 2)], [track_of(1, 1, 3, [LEFT, LEFT])]))
    with pytest.raises(UserError, match=message) as error:
        metric.add(tracks)
    assert "\n" not in str(error.value)
    assert metric.missing_videos == (1,)  # a refused video leaves no trace


def test_a_video_is_added_once():
    metric = VideoAP(set_of([video_of(1, 1)], []))
    metric.add(Tracks(1, (), (), ()))
    with pytest.raises(UserError, match="added twice"):
        metric.add(Tracks(1, (), (), ()))


def test_ground_truth_of_another_size_is_named():
    wrong = track_of(9, 1, 3, [np.ones((9, 8), dtype=bool)])
    metric = VideoAP(set_of([video_of(1, 1)], [wrong]))
    with pytest.raises(UserError, match="ground-truth track 9: segmentations"):
        metric.add(tracks_of(1, (3, 0.5, [LEFT])))


@pytest.mark.parametrize("classes", [[99], []])
def test_classes_must_exist(classes):
    ground_truth = set_of([video_of(1, 1)], [])
    with pytest.raises(UserError, match="classes: "):
        VideoAP(ground_truth, classes)
    if classes:
        with pytest.raises(UserError, match="classes: 99"):
            VideoAP(ground_truth).result().summary(classes)


def bitmaps(dtype=bool):
    return np.stack([LEFT, RIGHT]).astype(dtype)[None]  # one track of two frames


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, [3], [0.5], bitmaps()), "video 5: video_id: not in the ground truth"),
        ((1, [4], [0.5], bitmaps()), "video 1: track 0: category_id: 4"),
        ((1, [3], [float("inf")], bitmaps()), "video 1: track 0: score: inf: not finite"),
        ((1, [3, 3], [0.5], bitmaps()), "category_ids, scores: of lengths 2, 1"),
        ((1, [3], [0.5], bitmaps(float)), "masks: of type float64: neither bool nor uint8"),
        ((1, [3], [0.5], bitmaps()[:, :1]), r"masks: of shape \(1, 1, 8, 8\): give \(1, 2, 8, 8\)"),
        ((1, [], [], bitmaps()), r"masks: of shape \(1, 2, 8, 8\): give \(0, 2, 8, 8\)"),
    ],
)
def test_malformed_bitmaps_are_named(arguments, message):
    metric = VideoAP(set_of([video_of(1, 2)], [track_of(1, 1, 3, [LEFT, LEFT])]))
    with pytest.raises(UserError, match=message) as error:
        metric.add_masks(*arguments)
    assert "\n" not in str(error.value)
    assert metric.missing_videos == (1,)


@pytest.mark.parametrize(
    "mask",
    [5, "text", {"counts": b"04"}, {"size": [8, 8]}, {"size": [8, 8], "counts": [64]}, {"size": 8, "counts": b"4"}],
)
def test_what_is_no_mask_is_named(mask):
    metric = VideoAP(set_of([video_of(1, 2)], []))
    with pytest.raises(UserError, match=r"video 1: track 0: segmentations\[1\].*: ") as error:
        metric.extend(Tracks(1, (3,), (0.5,), ((None, mask),)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(8, 8), np.array([8, 8])])
def test_the_size_of_a_mask_may_be_any_sequence(size):
    metric = VideoAP(set_of([video_of(1, 2)], [track_of(1, 1, 3, [LEFT, LEFT])]))
    masks = tuple({**mask, "size": size} for mask in tracks_of(1, (3, 0.5, [LEFT, LEFT])).segmentations[0])
    metric.add(Tracks(1, (3,), (0.5,), (masks,)))
    assert metric.result().summary()["AR1"] == 100


def test_a_refused_piece_leaves_the_earlier_ones():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [LEFT])])
    metric = VideoAP(ground_truth)
    metric.extend(tracks_of(1, (3, 0.5, [LEFT])))
    with pytest.raises(UserError, match=r"results\.json: entry 8: score: nan"):
        metric.extend(
            tracks_of(1, (3, 0.4, [RIGHT]), (3, float("nan"), [RIGHT])), lambda n: f"results.json: entry {7 + n}"
        )
    with pytest.raises(UserError, match="added twice"):
        metric.add(tracks_of(1))
    assert len(metric.digest().score) == 1


def test_ground_truth_with_damaged_runs_is_named():
    track = track_of(9, 1, 3, [LEFT])
    damaged = type(track)(9, 1, 3, ({"size": [8, 8], "counts": b"04"},), (4.0,))
    metric = VideoAP(set_of([video_of(1, 1)], [damaged]))
    with pytest.raises(
        UserError, match=r"ground-truth track 9: segmentations\[0\]\.counts: 4: is what the runs sum to"
    ):
        metric.add(tracks_of(1, (3, 0.5, [LEFT])))


def test_predictions_of_classes_that_are_not_evaluated_are_checked_and_left_out():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [LEFT])])
    metric = VideoAP(ground_truth, classes=[3])
    metric.add(tracks_of(1, (7, 0.9, [LEFT]), (3, 0.5, [LEFT])))
    assert metric.digest().category.tolist() == [3]
    with pytest.raises(UserError, match="track 0: segmentations"):
        VideoAP(ground_truth, classes=[3]).add(Tracks(1, (7,), (0.5,), (({"size": [8, 8], "counts": b"04"},),)))


def test_ground_truth_is_decoded_again_once_forgotten(monkeypatch):
    monkeypatch.setattr("cvis.evaluation.targets._DECODED", 1)
    videos = [video_of(1, 1), video_of(2, 1)]
    metric = VideoAP(set_of(videos, [track_of(1, 1, 3, [LEFT]), track_of(2, 2, 3, [RIGHT])]))
    for video_id, mask in ((1, LEFT), (2, RIGHT), (1, LEFT)):
        metric.extend(tracks_of(video_id, (3, 0.5, [mask])))
    assert metric.digest().pair_iou.tolist() == [1.0] * 3


def test_undefined_numbers_are_none_and_others_floats():
    result = score(*random_set(3))
    assert all(value is None or type(value) is float for value in result.summary().values())
