"""CrossVIS's tracker on cases made by hand."""

import pytest
import torch

from cvis.segmenters.crossvis.tracker import Detections, Tracker

DIM = 4


def look(number):
    """An embedding that only its own object has."""
    return [3.0 if k == number else 0.0 for k in range(DIM)]


def at(left):
    return [left, 0.0, left + 10, 10.0]


def show(tracker, *detections):
    """A frame with detections (score, class, left of its box, embedding), the surest first."""
    scores, columns, boxes, embeddings = (list(values) for values in zip(*detections, strict=True)) if detections else (
        [], [], [], [],
    )  # fmt: skip
    score = torch.tensor(scores)
    return tracker.step(
        Detections(
            score,
            torch.tensor(columns, dtype=torch.int64),
            torch.tensor([at(left) for left in boxes]).reshape(-1, 4),
            torch.tensor(embeddings).reshape(-1, DIM),
            torch.zeros(len(scores), dtype=torch.int64),
            score[:, None].expand(-1, 2),
        )
    )


def test_objects_that_cross_keep_their_numbers():
    """Two of one class change places at once: what they look like outweighs where they are."""
    tracker = Tracker(0.4)
    assert show(tracker, (0.9, 0, 0, look(0)), (0.8, 0, 12, look(1))) == [0, 1]
    assert show(tracker, (0.9, 0, 6, look(1)), (0.8, 0, 6, look(0))) == [1, 0]
    assert show(tracker, (0.9, 0, 0, look(1)), (0.8, 0, 12, look(0))) == [1, 0]


def test_an_object_that_was_away_has_its_number_again():
    """No track ends, and an empty frame changes nothing; where it was last no longer counts, but what it was."""
    tracker = Tracker(0.4)
    assert show(tracker, (0.9, 0, 0, look(0))) == [0]
    for _ in range(50):
        assert show(tracker) == []
    assert show(tracker, (0.9, 0, 80, look(0)), (0.5, 0, 0, look(1))) == [0, -1]  # the second is where it was: IoU 1
    assert show(tracker, (0.5, 0, 40, look(2))) == [1]
    assert [track.frames for track in tracker.tracks] == [2, 1]


def test_two_detections_never_have_one_number():
    """mmdet's MaskTrackRCNNTracker could give both the first track (defect 13): here the surer has it."""
    tracker = Tracker(0.4)
    show(tracker, (0.9, 0, 0, look(0)))
    assert show(tracker, (0.8, 0, 1, look(0)), (0.7, 0, 2, look(0))) == [0, -1]
    assert tracker.tracks[0].box.tolist() == at(1)
    assert tracker.tracks[0].score == pytest.approx(0.9 + 0.8)
    torch.manual_seed(0)
    for _ in range(20):
        n = int(torch.randint(1, 6, ()))
        rows = zip(torch.rand(n).sort(descending=True).values.tolist(), torch.rand(n).tolist(), strict=True)
        numbers = show(tracker, *((score, 0, 20 * left, torch.randn(DIM).tolist()) for score, left in rows))
        taken = [number for number in numbers if number >= 0]
        assert len(set(taken)) == len(taken) > 0


def test_another_class_is_another_object():
    tracker = Tracker(0.4)
    assert show(tracker, (0.9, 0, 0, look(0)), (0.8, 1, 0, look(0))) == [0, 1]
    assert show(tracker, (0.9, 1, 0, look(0)), (0.8, 0, 0, look(0))) == [1, 0]
    assert [track.column for track in tracker.tracks] == [0, 1]


@pytest.mark.parametrize(("left", "number"), [(3, 0), (5, 1)])
def test_similarity_is_cosine_plus_overlap_with_what_was_last_seen(left, number):
    """cos = 0, and IoU 7/13 or 5/15 against a threshold of 0.4; the last place counts, not the first."""
    tracker = Tracker(0.4)
    show(tracker, (0.9, 0, 50, look(0)))
    show(tracker, (0.9, 0, 0, look(0)))
    assert show(tracker, (0.9, 0, left, look(1))) == [number]


def test_tracks_sum_what_their_frames_say():
    tracker = Tracker(0.4)
    show(tracker, (0.5, 0, 0, look(0)))
    show(tracker, (0.25, 0, 0, look(0)))
    (track,) = tracker.tracks
    assert (track.frames, track.score, track.probabilities.tolist()) == (2, 0.75, [0.75, 0.75])
