"""Which learners the space-time pyramid takes: they train and predict; the others are refused in one line."""

import pytest
from small_pyramid import make_pyramid
from tiny import noise_video
from two_models import losses_of, make_clip, make_learner

from cvis.errors import UserError
from cvis.learners.registry import build_learner


@pytest.mark.parametrize("name", ["finetune", "replay", "pseudo", "mib", "comformer", "balconpas"])
def test_learners_train_and_predict(name, tmp_path):
    keys = {} if name in ("finetune", "replay", "mib") else {"min_overlap": 0.0}
    learner = make_learner(name, steps=2, segmenter=make_pyramid(classes=()), **keys)
    losses = losses_of(learner, make_clip())
    assert {"loss_emb", "loss_smooth", "loss_center", "loss_cls"} <= losses.keys()
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()
    assert [n for n, p in learner.named_parameters() if p.requires_grad and p.grad is None] == []
    tracks = learner.eval().predict(noise_video(tmp_path, 5, 0.0))
    assert set(tracks.category_ids) <= {7, 3, 12, 40, 41}
    assert all(len(codes) == 5 for codes in tracks.segmentations)
    labels = {"comformer": "CoMFormer (variant)", "balconpas": "balconpas (variant)"}
    assert learner.label == labels.get(name)  # MiB's pixels are what it was made for


def test_the_others_are_refused():
    without = make_pyramid(classes=(), background_channel=False)
    for name, segmenter, says in (
        ("mib", without, r"^learner 'mib' needs class_slots of .*; set segmenter\.background_channel=true$"),
        (
            "combo",
            make_pyramid(classes=()),
            r"^learner 'combo' needs aligned_queries of the segmenter",
        ),
        ("eclipse", make_pyramid(classes=()), r"^learner 'eclipse' needs .*query_groups of the segmenter"),
    ):
        with pytest.raises(UserError, match=says):
            build_learner({"type": name}, segmenter)
    assert build_learner({"type": "pseudo"}, without).label is None
