"""Learners of every kind learn a later step on CTVIS, and read a video frame by frame."""

import pytest
import torch
from two_models import DISTILLERS, losses_of, make_clip, make_learner, make_segmenter

from cvis.segmenters.outputs import Answers

PROMPTS = dict(num_prompts=2, deltas=[0.0])
SETTINGS = {
    "eclipse": PROMPTS,
    "crisp": dict(PROMPTS, text_encoder=dict(model="tiny", pretrained="random")),
    "anchor": dict(PROMPTS, mask_power=1.0),  # masks that nothing has trained are half sure everywhere
    "groups": dict(PROMPTS, type="eclipse", answers="group", analytic_head=True),
    **{name: DISTILLERS[name] for name in ("mib", "comformer", "comformer-soft", "combo", "balconpas", "pseudo")},
    "replay": {},  # finetune's and joint's loss
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_later_step_is_learned_and_a_video_is_read(name, video):
    learner = make_learner(name, segmenter=make_segmenter(type="ctvis"), **SETTINGS[name])
    losses = losses_of(learner, make_clip())
    assert {"loss_emb", "loss_aux"} <= {*losses}
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    learning = [n for n, p in learner.named_parameters() if p.requires_grad and p.grad is not None and p.grad.any()]
    assert learning
    tracks = learner.eval().predict(video)
    assert len(tracks) > 0
    assert {*tracks.category_ids} <= {*learner.segmenter.classes}
    assert all(len(masks) == 3 for masks in tracks.segmentations)


@torch.no_grad()
def test_what_a_group_finds_does_not_depend_on_later_groups(video):
    """Eclipse with a list of answers for each group: the first list is that of the model before."""
    keys = dict(num_prompts=2, deltas=[0.0], train_no_object=False, answers="group")
    segmenter = make_segmenter(type="ctvis", test=dict(short_side=32, top_k=4))
    learner = make_learner("eclipse", segmenter=segmenter, **keys).eval()
    both = learner.predict(video)

    def base_alone(memory):
        first = learner._read(memory, [learner.heads()])[0]
        return [Answers(first.scores, first.mask_embeddings, first.queries)]

    alone = segmenter.predict(video, base_alone)
    assert len(both) > len(alone) > 0
    assert both.scores[: len(alone)] == alone.scores
    assert both.segmentations[: len(alone)] == alone.segmentations


def test_a_replayed_clip_is_replayed_in_all_its_frames():
    """BalConpas's weights are of clips; the class loss sees clips x frames."""
    learner = make_learner("balconpas", segmenter=make_segmenter(type="ctvis"), tracks_per_class=2)
    losses = losses_of(learner, make_clip(classes=(40, 7)))
    assert losses["loss_cls"].isfinite()
