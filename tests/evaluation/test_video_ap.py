"""VideoAP against two independent oracles, and the corners where it differs from the official code."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scored_sets import encode, random_set, set_of, track_of, tracks_of, video_of

from cvis.errors import UserError
from cvis.evaluation import Result, VideoAP, score
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
    found = tracks_of(1, (3, 0.9, [LEFT]), (3, 0.8, [RIGHT]), (7, 0.1, [LEFT]))
    assert score(set_of([video_of(1, 1)], tracks), [found]).summary()["AR1"] == 75.0


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


def test_importing_the_evaluation_loads_no_deep_learning():
    code = (
        "import sys, cvis.evaluation\n"
        "heavy = {'torch', 'mmdet', 'mmengine', 'mmcv', 'typer'} & {m.split('.')[0] for m in sys.modules}\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_undefined_numbers_are_none_and_others_floats():
    result = score(*random_set(3))
    assert isinstance(result, Result)
    assert all(value is None or type(value) is float for value in result.summary().values())
