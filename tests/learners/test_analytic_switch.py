"""The analytic head on learners that train all of the model: it reads the backbone, which never changes."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from compared_runs import assert_same_run
from interrupted import Killed, die_at
from small_vistr import make_vistr
from test_analytic import tracked_video
from tiny import settings
from two_models import disturb, make_learner, make_segmenter, make_task

from cvis.engine.run import run
from cvis.errors import UserError
from cvis.learners.analytic.head import AnalyticHead
from cvis.learners.analytic.pooling import STATISTICS, describe, lengths_of
from cvis.segmenters.background import class_probabilities
from cvis.segmenters.mask2former import long

ON = dict(analytic_head=True)


def taught(name: str, video, **keys):
    """A learner whose head knows two tracks of the first step's classes; as it is after that step."""
    learner = make_learner(name, steps=1, **ON, **keys).eval()
    tracks = tracked_video(video)
    train = SimpleNamespace(videos=[video], tracks={video.id: tracks}, all_tracks=tracks)
    learner.analytic.learn(replace(make_task(0), train=train), learner.segmenter)
    return learner


@pytest.mark.parametrize("name", ["finetune", "joint", "replay"])
@torch.no_grad()
def test_scores_are_the_models_times_the_heads_on_maps_of_the_backbone(name, video):
    learner = taught(name, video)
    model, answers = learner.segmenter, []
    assert learner.label == f"{type(learner).__name__} with analytic head"
    predict = model.predict
    model.predict = lambda video, read: predict(video, lambda memory: answers.append(read(memory)[0]) or answers)
    learner.predict(video)

    frames = torch.cat(list(model.inference.frames(video)))
    maps = [*reversed(model.extract(frames[None]).levels)]
    assert len(learner.analytic.moments.second) == sum(lengths_of([each.shape[1] for each in maps], STATISTICS))
    output = model.decode(model.features(frames[None]), prediction_layers="last")[0]
    described = describe(maps, output.masks[0] > 0, STATISTICS).double()
    values = (described @ learner.analytic.weights + learner.analytic.bias) / learner.analytic.temperature
    seen = (output.masks[0].amax((-2, -1)) > 0)[..., None]
    assert seen.any(1).all()
    named = (values.softmax(-1) * seen).sum(1) / seen.sum(1)
    expected = class_probabilities(output.logits[0]) * named
    assert torch.allclose(answers[0].scores.double(), expected, atol=1e-6)
    assert torch.equal(answers[0].mask_embeddings, output.mask_embeddings[0])


@pytest.mark.parametrize("kind", ["mask2former", "ctvis"])
@torch.inference_mode()
def test_what_is_known_of_a_track_survives_whatever_is_trained(kind, video):
    learner = taught("finetune", video, segmenter=make_segmenter(type=kind))
    model = learner.segmenter
    masks = torch.ones(1, 3, 8, 12)

    def known() -> torch.Tensor:
        candidates = learner.analytic.candidates(model.video_features(video), masks)
        return learner.analytic.probabilities([candidates], learner.analytic.classifier)

    before, decoded = known(), model.video_features(video).mask_features
    model.freeze_backbone()
    disturb(learner)
    assert not torch.equal(model.video_features(video).mask_features, decoded)
    assert torch.equal(known(), before)
    assert len(learner.predict(video)) > 0


@pytest.mark.parametrize(("kind", "tracking"), [("mask2former", "none"), ("mask2former", "queries"), ("ctvis", "none")])
@torch.inference_mode()
def test_motion_is_of_the_frames_that_are_answered_together(kind, tracking, video, monkeypatch):
    """The head learns what it will be shown: the whole video, a window of it, or a single frame, which is still."""
    model, shown, describe = make_segmenter(type=kind), [], AnalyticHead.describe
    model.inference = replace(model.inference, window=2, tracking=tracking)
    monkeypatch.setattr(AnalyticHead, "describe", lambda *of: shown.append(of[-1].shape[1]) or describe(*of))
    learner = taught("finetune", video, segmenter=model)
    learned = shown.copy()
    shown.clear()
    learner.predict(video)
    assert learned == shown == {None: [3], 2: [2, 1], 1: [1, 1, 1]}[model.seen_together]


@torch.inference_mode()
def test_a_video_that_lies_on_disk_says_the_same(video, monkeypatch):
    learner = taught("finetune", video)
    whole = learner.predict(video)
    monkeypatch.setattr(long, "LARGEST", 32 * 48)
    found = learner.predict(video)
    assert found.segmentations == whole.segmentations
    assert found.scores == pytest.approx(whole.scores, abs=1e-6)


def test_models_that_keep_no_maps_are_refused():
    with pytest.raises(UserError, match=r"learner\.analytic_head: true: VisTR does not keep the maps of its backbone"):
        make_learner("finetune", segmenter=make_vistr(classes=()), **ON)


def test_a_backbone_that_learns_is_refused_before_anything_is_trained(stream, tmp_path):
    keys = ("learner.analytic_head=true", "protocol.freeze=none", "schedule.base.iterations=1")
    with pytest.raises(UserError, match=r"learner\.analytic_head: true: .*say protocol\.freeze=backbone"):
        run(settings(stream, tmp_path, "replay", *keys))
    assert not list(tmp_path.rglob("*.pth"))
    folder = run(settings(stream, tmp_path, "joint", *keys, "schedule.joint.iterations=1"))  # there is no later step
    assert (folder / "metrics.json").is_file()


@pytest.mark.parametrize(("name", "keys"), [("finetune", ()), ("replay", ()), ("eclipse", ("learner.num_prompts=3",))])
def test_a_run_with_the_head_trains_as_without_and_resumes_exactly(name, keys, stream, tmp_path, monkeypatch):
    def configured(folder: str, *more: str) -> dict:
        return settings(
            stream, tmp_path / folder, name, *(["learner.num_prompts=3"] if name == "eclipse" else []), *more
        )

    whole = run(configured("whole", "learner.analytic_head=true"))
    without = run(configured("without"))
    for step in range(3):
        with_head = torch.load(whole / f"step{step}" / "model.pth", weights_only=True)["state"]
        alone = torch.load(without / f"step{step}" / "model.pth", weights_only=True)["state"]
        assert alone.keys() == {key for key in with_head if not key.startswith("analytic.")}
        assert all(torch.equal(alone[key], with_head[key]) for key in alone)
    if name != "finetune":
        die_at(monkeypatch, [(1, 3)])
        with pytest.raises(Killed):
            run(configured("broken", "learner.analytic_head=true"))
        assert_same_run(whole, run(configured("broken", "learner.analytic_head=true")))
