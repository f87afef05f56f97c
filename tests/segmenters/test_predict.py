"""From files on disk to tracks."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as rle_tools

from cvis.data.frames import resized
from cvis.errors import UserError
from cvis.segmenters.background import class_probabilities
from cvis.segmenters.mask2former.inference import Inference
from cvis.segmenters.outputs import Answers
from cvis.types import Video


@pytest.fixture
def video(tmp_path):
    def make(length=7, height=50, width=70):
        rng = np.random.default_rng(0)
        paths = []
        for index in range(length):
            coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
            path = tmp_path / f"{index:05d}.png"
            Image.fromarray(coarse).resize((width, height)).save(path)
            paths.append(path)
        return Video(4, "v", height, width, tuple(paths))

    return make


def test_any_window_gives_the_same_tracks(small, video):
    clip = video()
    answers = [small(test=dict(short_side=32, window=window)).eval().predict(clip) for window in (1, 3, 7, 20)]
    for answer in answers[1:]:
        assert answer.category_ids == answers[0].category_ids
        assert answer.scores == pytest.approx(answers[0].scores, abs=1e-5)
        for mine, first in zip(answer.segmentations, answers[0].segmentations, strict=True):
            for a, b in zip(mine, first, strict=True):
                assert (a is None) == (b is None)
                assert a is None or np.mean(rle_tools.decode(a) != rle_tools.decode(b)) < 1e-3


def test_tracks_are_the_plain_recipe(small, video):
    """Against the whole pipeline written at once: all frames, all masks, two resizes, sorted pairs."""
    segmenter, clip = small(test=dict(short_side=40, window=2, top_k=6)).double().eval(), video(length=5)
    tracks = segmenter.predict(clip)
    with torch.no_grad():
        frames = torch.cat(list(segmenter.inference.frames(clip)))
        assert frames.shape == (5, 3, 40, 56)
        output = segmenter.decode(segmenter.features(frames[None]))[-1]
        probabilities = output.logits[0].softmax(-1)[:, :-1]
        pairs = sorted(((probabilities[q, k].item(), q, k) for q in range(5) for k in range(3)), reverse=True)[:6]
        masks = torch.nn.functional.interpolate(output.masks[0], (48, 64), mode="bilinear")[..., :40, :56]
        masks = torch.nn.functional.interpolate(masks, (50, 70), mode="bilinear") > 0
    assert tracks.video_id == 4
    assert tracks.scores == pytest.approx([score for score, _, _ in pairs])
    assert tracks.category_ids == tuple((7, 3, 12)[column] for _, _, column in pairs)
    for codes, (_, query, _) in zip(tracks.segmentations, pairs, strict=True):
        assert len(codes) == 5
        for code, mask in zip(codes, masks[query].numpy(), strict=True):
            if code is None:
                assert not mask.any()
            else:
                assert code["size"] == [50, 70]
                assert isinstance(code["counts"], bytes)
                assert np.mean(rle_tools.decode(code) != mask) < 1e-3


@pytest.mark.parametrize("soft_masks", [False, True])
def test_masks_are_those_of_the_segmenter_whoever_reads_the_video(small, video, soft_masks):
    """A learner's own reading, as CoMBO's, says nothing of soft masks: they are a word of the segmenter."""
    segmenter, clip = small(test=dict(short_side=32)).eval(), video(2)
    segmenter.soft_masks = soft_masks

    def read(memory):
        answer = segmenter.decode_queries(memory)[-1]
        return [Answers(class_probabilities(answer.logits[0]), answer.mask_embeddings[0])]

    ours, own = segmenter.predict(clip, read), segmenter.predict(clip)
    assert ours.segmentations == own.segmentations
    segmenter.soft_masks = not soft_masks
    assert segmenter.predict(clip).segmentations != own.segmentations


def test_empty_masks_are_none(small, video):
    segmenter = small().eval()
    with torch.no_grad():
        segmenter.groups[0].mask_head[-1].weight.zero_()
        segmenter.groups[0].mask_head[-1].bias.zero_()
    assert all(code is None for codes in segmenter.predict(video(2)).segmentations for code in codes)


@pytest.mark.parametrize(("classes", "expected"), [((7,), 5), ((7, 3, 12), 10), ((), 0)])
def test_one_frame_and_few_pairs(small, video, classes, expected):
    tracks = small(classes=classes).eval().predict(video(length=1))
    assert len(tracks) == expected
    assert list(tracks.scores) == sorted(tracks.scores, reverse=True)


def test_large_side_is_bounded(small):
    inference = small(test=dict(short_side=100, max_side=150)).inference
    assert inference.size(200, 200) == (100, 100)
    assert inference.size(100, 400) == (38, 150)
    assert inference.size(3, 2000) == (1, 150)


SIDES = st.integers(1, 10_000)


@given(SIDES, SIDES, SIDES, SIDES)
def test_videos_are_resized_as_clips_are(height, width, short_side, max_side):
    """The size seen in training and in testing, and both the formula rounded half up."""
    size = Inference(short_side, max_side).size(height, width)
    assert size == resized(height, width, short_side, max_side)
    scale = min(short_side / min(height, width), max_side / max(height, width))
    assert size == tuple(max(1, math.floor(side * scale + 0.5)) for side in (height, width))


def test_wrong_keys(small):
    with pytest.raises(UserError, match=r"segmenter.test.window: 0"):
        small(test=dict(window=0))
    with pytest.raises(UserError, match=r"segmenter.test.*windows"):
        small(test=dict(windows=3))
