"""The ground truth is decoded once for all evaluations of a set, and forgotten with the set."""

from __future__ import annotations

import gc
import weakref

import numpy as np
from scored_sets import set_of, track_of, tracks_of, video_of

from cvis.data.track_masks import TrackMasks
from cvis.evaluation import VideoAP
from cvis.evaluation.targets import targets_of

MASK = np.eye(8, dtype=bool)


def test_a_second_evaluation_decodes_its_predictions_only(monkeypatch):
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [MASK])])
    tracks, decoded, of = tracks_of(1, (3, 0.5, [MASK])), [], TrackMasks.of
    monkeypatch.setattr(TrackMasks, "of", lambda *args: decoded.append(args[0]) or of(*args))
    for calls in (2, 3):
        metric = VideoAP(ground_truth)
        metric.add(tracks)
        assert len(decoded) == calls
        assert metric.digest().pair_iou.tolist() == [1.0]


def test_other_classes_of_the_same_set_have_their_own_tracks():
    truth = [track_of(1, 1, 3, [MASK]), track_of(2, 1, 7, [MASK]), track_of(3, 2, 7, [MASK])]
    ground_truth = set_of([video_of(1, 1), video_of(2, 1)], truth)
    for classes, tracks in (((3, 7), [0, 1, 2]), ((7,), [0, 1]), ((3,), [0])):
        metric = VideoAP(ground_truth, classes)
        for video_id in (2, 1):
            metric.add(tracks_of(video_id, (3, 0.5, [MASK]), (7, 0.5, [MASK])))
        digest = metric.digest()
        chosen = [t for t in truth if t.category_id in classes]
        assert digest.gt_class.tolist() == [t.category_id for t in chosen]
        assert digest.pair_track.tolist() == tracks
        assert digest.gt_class[digest.pair_track].tolist() == digest.category[digest.pair_detection].tolist()


def test_targets_end_with_their_set():
    ground_truth = set_of([video_of(1, 1)], [track_of(1, 1, 3, [MASK])])
    metric = VideoAP(ground_truth)
    targets = weakref.ref(targets_of(ground_truth))
    assert targets() is metric._targets
    del ground_truth, metric
    gc.collect()
    assert targets() is None
