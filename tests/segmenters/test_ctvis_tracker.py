"""CTVIS's tracker: on cases made by hand, and against the rules written as plain loops."""

import math

import pytest
import torch

from cvis.segmenters.ctvis.inference import log_probabilities
from cvis.segmenters.ctvis.tracker import Rules, Tracker

SURE = (0.9, 0.05, 0.05)
UNSURE = (0.004, 0.003, 0.993)
DIM = 8


def look(number):
    """An embedding that only its own object has."""
    return [6.0 if k == number else 0.0 for k in range(DIM)]


def place(row):
    """A mask of its own."""
    mask = torch.zeros(16, 4, dtype=torch.bool)
    mask[row] = True
    return mask


def show(tracker, *detections):
    """A frame with detections (probabilities of two classes and no-object, embedding, mask)."""
    probabilities = torch.tensor([p for p, _, _ in detections], dtype=torch.float64).reshape(-1, 3)
    embeddings = torch.tensor([e for _, e, _ in detections], dtype=torch.float64).reshape(-1, DIM)
    masks = torch.stack([m for _, _, m in detections]) if detections else torch.zeros(0, 16, 4, dtype=torch.bool)
    return tracker.step(probabilities.log(), embeddings, masks)


def test_objects_that_cross_keep_their_numbers():
    """Where they are, and in which order they are found, says nothing."""
    tracker = Tracker(Rules())
    for t in range(6):
        there = [(SURE, look(0), place(t)), (SURE, look(1), place(5 - t))]
        assert show(tracker, *there) == [0, 1]
        assert show(tracker, *there[::-1]) == [1, 0]
    assert {n: track.frames for n, track in tracker.tracks.items()} == {0: 12, 1: 12}


@pytest.mark.parametrize(("away", "number"), [(1, 0), (19, 0), (20, 1), (40, 1)])
def test_an_object_that_was_away_for_long_is_another(away, number):
    """The track may be unseen for 20 frames; the first frame after is one more than were missed."""
    tracker = Tracker(Rules())
    for _ in range(3):
        assert show(tracker, (SURE, look(0), place(0))) == [0]
    for _ in range(away):
        assert show(tracker) == []
    assert show(tracker, (SURE, look(0), place(9))) == [number]
    assert list(tracker.tracks) == list(range(number + 1))


def test_of_duplicates_the_surer_stays():
    tracker = Tracker(Rules())
    nearly = place(0) | place(1)
    weak = (0.3, 0.4, 0.3)
    assert show(tracker, (weak, look(1), nearly), (SURE, look(0), nearly), (weak, look(2), place(0))) == [-1, 0, 1]
    assert show(tracker, (SURE, look(0), place(3)), (SURE, look(0), place(5))) == [0, 2]  # one takes it, one is born


def test_what_is_sure_of_nothing_begins_no_track_but_may_continue_one():
    tracker = Tracker(Rules())
    assert show(tracker, (UNSURE, look(0), place(0)), (UNSURE, look(1), place(1))) == [-1, -1]
    assert show(tracker, (SURE, look(0), place(0))) == [0]
    assert show(tracker, (UNSURE, look(0), place(0)), (UNSURE, look(1), place(1))) == [0, -1]


def test_brief_tracks_are_dropped_when_the_video_is_no_longer_young():
    tracker = Tracker(Rules())
    show(tracker, (SURE, look(0), place(0)), (SURE, look(1), place(1)))
    for t in range(1, 8):
        show(tracker, (SURE, look(0), place(0)))
        assert list(tracker.tracks) == [0, 1], t
    show(tracker, (SURE, look(0), place(0)))
    assert list(tracker.tracks) == [0]


def test_the_older_track_wins_where_several_are_alike():
    tracker = Tracker(Rules(match_threshold=0.2))
    show(tracker, (SURE, look(0), place(0)))
    for _ in range(3):
        show(tracker, (SURE, look(0), place(0)), (SURE, look(1), place(1)))
    show(tracker)
    between = [4.0, 4.05, *[0.0] * 6]  # a little nearer to the younger
    assert show(tracker, (SURE, between, place(0))) == [0]


def test_a_track_is_named_by_the_mean_of_its_logits():
    logits = torch.randn(4, 1, 3, dtype=torch.float64) + torch.tensor([3.0, 0, 0])
    tracker = Tracker(Rules())
    for row in logits:
        tracker.step(row.log_softmax(-1), torch.tensor([look(0)], dtype=torch.float64), place(0)[None])
    torch.testing.assert_close(tracker.tracks[0].probabilities(), logits.mean((0, 1)).softmax(-1), rtol=0, atol=1e-12)


def test_scores_of_a_learner_become_probabilities_that_sum_to_one():
    scores = torch.tensor([[0.2, 0.3], [-torch.inf, 1.0], [0.8, 0.8]])
    found = log_probabilities(scores).exp()
    torch.testing.assert_close(found, torch.tensor([[0.2, 0.3, 0.5], [0, 1.0, 0], [0.8, 0.8, 0]]), rtol=0, atol=1e-6)
    assert found.log().isfinite().all()


class Plain:
    """The rules of the specification, with lists."""

    def __init__(self):
        self.tracks, self.born, self.time = {}, 0, -1

    def step(self, probabilities, embeddings, masks):
        self.time += 1
        found = [-1] * len(embeddings)
        scores = [max(p[:-1]) for p in probabilities]
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        order = [i for i in order if scores[i] > 0.01] or order[:1]
        kept = []
        for i in order:
            if not any(len(masks[i] & masks[k]) > 0.6 * len(masks[i] | masks[k]) for k in kept):
                kept.append(i)
        known = [n for n, t in self.tracks.items() if self.time - t["last"] <= 20]
        e = {(i, n): math.exp(sum(a * b for a, b in zip(embeddings[i], self.tracks[n]["mean"], strict=True)))
             for i in kept for n in known}  # fmt: skip
        free = set(known)
        for i in kept:
            f = {n: (e[i, n] / sum(e[i, m] for m in known) + e[i, n] / sum(e[k, n] for k in kept)) / 2 for n in free}
            above = {n: value for n, value in f.items() if value > 0.3}
            if above:
                n = max(above, key=lambda n: above[n] * self.tracks[n]["frames"])
                free.remove(n)
                track, new = self.tracks[n], embeddings[i]
                beta = max(0.0, sum(_cosine(new, old) for old in track["cache"]) / len(track["cache"]))
                track["mean"] = [(1 - beta) * m + beta * x for m, x in zip(track["mean"], new, strict=True)]
                track["cache"] = [*track["cache"], new][-10:]
                track["frames"] += 1
                track["last"], found[i] = self.time, n
            elif scores[i] > 0.01:
                self.tracks[self.born] = dict(mean=embeddings[i], cache=[embeddings[i]], frames=1, last=self.time)
                found[i] = self.born
                self.born += 1
        if self.time >= 8:
            self.tracks = {n: t for n, t in self.tracks.items() if t["frames"] >= 3 or self.time - t["last"] < 2}
        return found


def _cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))


@pytest.mark.parametrize("frames", [1, 300])
def test_tracks_are_the_plain_rules(frames):
    """Five objects that come and go and look alike, each found up to twice, among detections of nothing."""
    torch.manual_seed(frames)
    looks = torch.randn(5, 3, dtype=torch.float64) * 1.5
    ours, plain, numbers = Tracker(Rules()), Plain(), set()
    for t in range(frames):
        there = [k for k in range(5) if (t // (15 + 6 * k)) % 2 == 0 for _ in range(1 + int(torch.rand(()) < 0.2))]
        embeddings = torch.cat([looks[there] + 0.3 * torch.randn(len(there), 3), torch.randn(2, 3)]).double()
        logits = torch.randn(len(there) + 2, 4, dtype=torch.float64) * 2
        logits[len(there) :, -1] += 5
        masks = torch.rand(len(there) + 2, 4, 4) < 0.2
        for row, k in enumerate(there):
            masks[row, k % 4] = True
        expected = plain.step(
            logits.softmax(-1).tolist(), embeddings.tolist(), [{*map(tuple, m.nonzero().tolist())} for m in masks]
        )
        assert ours.step(logits.log_softmax(-1), embeddings, masks) == expected, t
        assert list(ours.tracks) == list(plain.tracks)
        numbers |= {*expected}
    assert len(numbers) > (20 if frames > 1 else 1)
