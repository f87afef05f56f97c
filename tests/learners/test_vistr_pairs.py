"""Which learners VisTR takes: they train and predict; the others are refused by the ability that is missing."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_vistr import make_vistr
from two_models import DISTILLERS, losses_of, make_clip, make_learner

from cvis.errors import UserError
from cvis.learners.registry import build_learner
from cvis.types import Video


@pytest.fixture
def video(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for index, path in enumerate(paths):
        Image.fromarray(np.full((50, 70, 3), 40 * index, np.uint8)).save(path)
    return Video(4, "v", 50, 70, tuple(paths))


@pytest.mark.parametrize("name", ["finetune", "replay", *DISTILLERS])
def test_learners_train_and_predict(name, video):
    learner = make_learner(name, steps=2, segmenter=make_vistr(classes=()))
    losses = losses_of(learner, make_clip())
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()
    silent = [n for n, p in learner.named_parameters() if p.requires_grad and p.grad is None]
    assert all(n.startswith("adapters") for n in silent), silent
    tracks = learner.eval().predict(video)
    assert set(tracks.category_ids) <= {7, 3, 12, 40, 41}
    assert all(len(codes) == 5 for codes in tracks.segmentations)
    expected = "CoMBO (re-implementation from the paper) (variant)" if name.startswith("combo") else None
    assert name.startswith("comformer") or learner.label == expected


def test_adaptive_weights_are_of_slots():
    """CoMFormer's: a slot that one frame is sure of counts as much in all of them."""
    seen = []
    learner = make_learner("comformer", steps=2, segmenter=make_vistr(classes=()))
    original = learner.segmenter.per_track
    learner.segmenter.per_track = lambda weights: seen.append(original(weights)) or seen[-1]
    losses_of(learner, make_clip())
    (weights,) = seen
    assert torch.equal(weights.view(-1, 3, 4)[:, 0], weights.view(-1, 3, 4)[:, 2])


@pytest.mark.parametrize("name", ["eclipse", "crisp", "anchor"])
def test_learners_that_add_queries_are_refused(name):
    with pytest.raises(UserError, match=rf"^learner '{name}' needs query_groups of the segmenter, which VisTR"):
        build_learner({"type": name}, make_vistr(classes=()))
