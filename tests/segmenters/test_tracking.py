"""Queries followed from window to window."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from cvis.segmenters.mask2former.tracking import QueryTracks, follow
from cvis.segmenters.outputs import Answers
from cvis.types import Video

RED, BLUE, NOBODY = torch.eye(3)


def window(*queries, groups=()):
    """(embedding, scores of two classes) of each query."""
    embeddings, scores = zip(*queries, strict=True)
    embeddings = torch.stack(embeddings)
    return Answers(torch.tensor(scores), -embeddings, embeddings, groups)


def shown(*names):
    """The mask of query i in a window of two frames is named ``names[i]``, in place of an RLE."""
    return {i: [name, name] for i, name in enumerate(names)}


def test_objects_that_trade_their_queries_keep_their_tracks():
    """As when two objects cross."""
    tracks = QueryTracks()
    tracks.add(window((RED, (0.9, 0.0)), (BLUE, (0.8, 0.0))), shown("red", "blue"), 2)
    tracks.add(window((BLUE + 0.1 * NOBODY, (0.6, 0.2)), (RED, (0.7, 0.2))), shown("blue", "red"), 2)
    assert tracks.masks == [["red"] * 4, ["blue"] * 4]
    torch.testing.assert_close(tracks.scores, torch.tensor([[0.8, 0.1], [0.7, 0.1]]))


def test_an_object_that_left_finds_its_track_again():
    """While it is away its track is of a query that sees nothing, and does not become like that one."""
    tracks = QueryTracks()
    tracks.add(window((RED, (0.9, 0.0)), (BLUE, (0.9, 0.0))), shown("red", "blue"), 2)
    for _ in range(5):
        tracks.add(window((NOBODY, (0.01, 0.0)), (BLUE, (0.9, 0.0))), {1: ["blue", "blue"]}, 2)
    tracks.add(window((BLUE + 0.2 * RED, (0.9, 0.0)), (RED + 0.2 * BLUE, (0.9, 0.0))), shown("blue", "red"), 2)
    assert tracks.masks == [["red"] * 2 + [None] * 10 + ["red"] * 2, ["blue"] * 14]


def test_a_windows_length_is_its_weight_and_its_answers_may_be_missing():
    nothing = -torch.inf
    tracks = QueryTracks()
    tracks.add(window((RED, (0.9, nothing))), {}, 3)
    tracks.add(window((RED, (nothing, nothing))), {}, 1)
    assert tracks.scores.tolist() == [[pytest.approx(0.675), nothing]]
    assert tracks.masks == [[None] * 4]
    empty = QueryTracks()
    empty.add(Answers(torch.zeros(2, 0), torch.eye(2)), {}, 4)
    assert empty.scores.shape == (2, 0)


def test_the_matching_is_the_best_of_all_within_each_group():
    torch.manual_seed(0)
    tracks, queries = torch.randn(2, 6, 4).unbind()
    found = follow(tracks, queries, (4, 2)).tolist()
    cosine = torch.nn.functional.cosine_similarity(tracks[:, None], queries[None], dim=-1)
    best = max(
        ((*a, *b) for a in itertools.permutations(range(4)) for b in itertools.permutations((4, 5))),
        key=lambda order: sum(float(cosine[i, j]) for i, j in enumerate(order)),
    )
    assert found == list(best)
    assert follow(tracks, queries).tolist() != found  # the groups made a difference


@pytest.fixture
def video(tmp_path):
    rng, paths = np.random.default_rng(0), [tmp_path / f"{t}.png" for t in range(7)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((70, 50)).save(path)
    return Video(4, "v", 50, 70, tuple(paths))


@pytest.mark.parametrize("soft_masks", [False, True])
def test_a_window_that_covers_the_video_gives_the_same_answers(small, video, soft_masks):
    def found(**test):
        segmenter = small(test=dict(short_side=32, top_k=4, **test)).eval()
        segmenter.soft_masks = soft_masks
        return segmenter.predict(video)

    whole = found(window=7)
    assert found(window=7, tracking="queries") == whole
    assert found(window=50, tracking="queries") == whole
    followed = found(window=2, tracking="queries")
    assert [len(codes) for codes in followed.segmentations] == [7] * 4
    assert followed != whole


def test_each_window_is_read_on_its_own(small, video):
    """And masks are those of the queries, so that a video of one repeated window has one answer, repeated."""
    twice = Video(5, "twice", 50, 70, video.frames[:3] * 2)
    segmenter = small(test=dict(short_side=32, window=3, tracking="queries")).eval()
    once, both = segmenter.predict(Video(6, "once", 50, 70, video.frames[:3])), segmenter.predict(twice)
    assert (both.scores, both.category_ids) == (once.scores, once.category_ids)
    assert both.segmentations == tuple(codes * 2 for codes in once.segmentations)
    assert segmenter.window is None  # another window would be another answer
