"""Outlines: the guided filter against its definition, the mixture, its fit, and runs with it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compared_runs import assert_same_run
from interrupted import Killed, die_at
from test_analytic import tracked_video
from tiny import settings
from two_models import make_learner, make_segmenter

from cvis.engine.predict import load_trained
from cvis.engine.run import run
from cvis.learners.analytic import outlines
from cvis.learners.analytic.outlines import (
    NUM_WEIGHTS,
    RADII,
    SMOOTH,
    Outlines,
    fitted,
    linear_models,
    moments_of,
    rim,
)
from cvis.scenario import load_scenario
from cvis.segmenters.mask2former import long

FIRST = torch.tensor([0])


def test_the_filter_is_the_mean_of_the_windows_linear_regressions():
    torch.manual_seed(0)
    guide, p = torch.rand(2, 3, 7, 9, dtype=torch.float64), torch.randn(2, 2, 7, 9, dtype=torch.float64)
    first, second, both = (
        linear_models(guide, p, 2, torch.tensor([w] * 2).double()) for w in ((1, 0), (0, 1), (0.3, 2))
    )
    assert SMOOTH[0] == 1e-3
    assert torch.allclose(both, 0.3 * first + 2 * second)
    fits = {}
    for y in range(7):
        for x in range(9):
            rows, columns = slice(max(y - 2, 0), y + 3), slice(max(x - 2, 0), x + 3)
            colours = guide[1, :, rows, columns].flatten(1).numpy()
            values = p[0, 1, rows, columns].flatten().numpy()
            centred = colours - colours.mean(1, keepdims=True)
            normal = centred @ centred.T / len(values) + 1e-3 * np.eye(3)
            a = np.linalg.solve(normal, centred @ (values - values.mean()) / len(values))
            fits[y, x] = (*a, values.mean() - a @ colours.mean(1))
    for y, x in ((0, 0), (3, 4), (6, 8), (1, 7)):
        around = [fits[v, u] for v in range(max(y - 2, 0), min(y + 3, 7)) for u in range(max(x - 2, 0), min(x + 3, 9))]
        assert first[0, 1, :, y, x].tolist() == pytest.approx(np.mean(around, 0), abs=1e-9)


def test_before_anything_is_fitted_masks_are_resized_as_ever():
    masks = torch.randn(3, 2, 4, 6)
    frames = torch.randint(0, 256, (2, 3, 15, 20), dtype=torch.uint8)
    drawn = Outlines()(masks, frames, (16, 24), torch.zeros(3, dtype=torch.long))
    plain = F.interpolate(masks, (16, 24), mode="bilinear", align_corners=False)[..., :15, :20]
    assert torch.allclose(drawn, plain, atol=1e-3)
    assert torch.equal(drawn > 0, plain > 0)


def disc_of(colour: int, on: int, centre: float, height: int):
    """Where it is [H, 96], its frame, and mask logits of a fourth of the size."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(96), indexing="ij")
    disc = (y - centre) ** 2 + (x - 47.7) ** 2 < 17.2**2
    frames = torch.where(disc, colour, on).to(torch.uint8).expand(1, 3, -1, -1)
    return disc, frames, 6 * F.avg_pool2d(disc.float()[None, None], 4) - 3


def test_a_mask_moves_to_the_edge_that_the_frame_shows():
    """A disc's outline, four times as fine as the mask, if the mixture trusts colours."""
    disc, frames, mask = disc_of(200, on=60, centre=30.3, height=64)
    made = Outlines()
    plain = made(mask, frames, (64, 96), FIRST)[0, 0] > 0
    made.weights[0] = torch.eye(NUM_WEIGHTS)[1 + RADII.index(2) * len(SMOOTH)]
    drawn = made(mask, frames, (64, 96), FIRST)[0, 0] > 0
    assert torch.equal(drawn, disc)
    assert not torch.equal(plain, disc)


@pytest.mark.parametrize("told", [True, False])
def test_colours_count_as_far_as_annotations_follow_them(told):
    """Where colours say nothing of the objects, masks stay as the model has them."""
    torch.manual_seed(2)
    inside = F.interpolate(torch.randn(12, 1, 5, 6), (32, 48), mode="bicubic")[:, 0] > 0
    other = F.interpolate(torch.randn(12, 1, 5, 6), (32, 48), mode="bicubic")[:, 0] > 0
    frames = torch.where(inside if told else other, 190, 70)[:, None, None].expand(-1, 1, 3, -1, -1).to(torch.uint8)
    masks = 6 * F.avg_pool2d(inside.float()[:, None], 4)[:, None] - 3
    seen = [rim(m[0, 0], i, f[0], (32, 48)) for m, i, f in zip(masks, inside, frames, strict=True)]
    made = Outlines()
    made.weights[0] = fitted(sum(moments_of(*each) for each in seen), made.weights[0])
    wrong = [0, 0]
    for plain, now in ((0, Outlines()), (1, made)):
        wrong[plain] = sum(
            int(((now(m, f, (32, 48), FIRST)[0, 0] > 0) != i).sum())
            for m, f, i in zip(masks, frames, inside, strict=True)
        )
    assert wrong[1] < (0.5 if told else 1.02) * wrong[0]
    if not told:
        assert made.weights[0, 0] > 0.8


@pytest.mark.parametrize("kind", ["mask2former", "ctvis"])
@torch.no_grad()
def test_the_fit_reads_objects_that_the_model_finds(kind, video, monkeypatch):
    """An object that no query finds teaches nothing; the others give the pixels around the rim of what was found."""
    learner = make_learner("eclipse", segmenter=make_segmenter(type=kind), steps=1, outlines=True).eval()
    model, tracks = learner.segmenter, tracked_video(video)
    assert model.draw == learner.outlines.forward
    monkeypatch.setattr(outlines, "SAME", 1.0)
    assert not list(outlines._rims(video, tracks, model))
    monkeypatch.setattr(outlines, "SAME", -1.0)
    rims = list(outlines._rims(video, tracks, model))
    assert rims
    frames, inside = model.annotated(video, tracks)
    assert frames.shape[-2:] == inside.shape[-2:]
    for basis, wanted in rims:
        assert basis.shape == (len(wanted), NUM_WEIGHTS)
        assert set(wanted.tolist()) <= {1.0, -1.0}
    before = learner.outlines.weights.clone()
    train = SimpleNamespace(videos=[video], tracks={video.id: tracks})
    learner.outlines.learn(SimpleNamespace(train=train), model)
    assert not torch.equal(learner.outlines.weights, before)
    assert len(learner.predict(video)) > 0


@torch.no_grad()
def test_a_step_looks_at_the_masks_of_its_own_group_and_changes_that_groups_weights_alone(video, monkeypatch):
    learner = make_learner("eclipse", segmenter=make_segmenter(type="mask2former"), steps=2, outlines=True).eval()
    model, tracks, looked = learner.segmenter, tracked_video(video), []
    decode = model.decode_queries
    monkeypatch.setattr(model, "decode_queries", lambda memory, group: looked.append(group) or decode(memory, group))
    monkeypatch.setattr(outlines, "SAME", -1.0)
    before = learner.outlines.weights.clone()
    learner.outlines.learn(SimpleNamespace(train=SimpleNamespace(videos=[video], tracks={video.id: tracks})), model)
    assert looked == [1]
    assert torch.equal(learner.outlines.weights[0], before[0])
    assert not torch.equal(learner.outlines.weights[1], before[1])


@torch.no_grad()
def test_a_mask_is_drawn_as_the_group_that_found_it():
    """Each by itself, in any company; a group that has not looked yet draws as the first does."""
    made = Outlines()
    made.weights[0].copy_(torch.tensor([0.4, 0, 0.3, 0.6, -0.3, 0, 0]))
    made.grow()
    assert torch.equal(made.weights[1], made.weights[0])
    made.weights[1].copy_(torch.tensor([0.1, 0.2, -0.4, 0.7, 0, 0.4, 0]))
    masks, frames = torch.randn(3, 2, 8, 12), torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8)
    together = made(masks, frames, (32, 48), torch.tensor([1, 0, 1]))
    for mask, drawn, group in zip(masks, together, (1, 0, 1), strict=True):
        torch.testing.assert_close(made(mask[None], frames, (32, 48), torch.tensor([group]))[0], drawn)
    assert not torch.allclose(together, made(masks, frames, (32, 48), torch.tensor([0, 0, 0])))


@pytest.mark.parametrize(
    ("kind", "answers"),
    [*((kind, answers) for kind in ("mask2former", "followed") for answers in ("video", "group")), ("ctvis", "group")],
)
@torch.inference_mode()
def test_models_say_whose_masks_they_draw(kind, answers, video):
    """Of what each answer keeps, the groups of its queries; the second group is drawn as nothing at all."""
    test = dict(short_side=32, window=2, **(dict(tracking="queries") if kind == "followed" else {}))
    model = make_segmenter(**(dict(type="ctvis", test=dict(short_side=32)) if kind == "ctvis" else dict(test=test)))
    learner = make_learner("eclipse", segmenter=model, steps=2, outlines=True, answers=answers).eval()
    asked, draw = [], learner.segmenter.draw

    def only_first(masks, frames, size, groups):
        asked.extend(groups.tolist())
        drawn = draw(masks, frames, size, groups)
        drawn[groups == 1] = -9
        return drawn

    learner.segmenter.draw = only_first
    tracks = learner.predict(video)
    assert set(asked) == {0, 1}
    empty = [all(rle is None for rle in track) for track in tracks.segmentations]
    assert any(empty)
    assert not all(empty)


@pytest.mark.parametrize("kept", ["in memory", "on disk", "followed", "frame by frame"])
@torch.inference_mode()
def test_every_window_is_drawn_on_its_own_frames(kept, video, monkeypatch):
    test = dict(short_side=32, window=1, **(dict(tracking="queries") if kept == "followed" else {}))
    kind = dict(type="ctvis", test=dict(short_side=32)) if kept == "frame by frame" else dict(test=test)
    learner = make_learner("eclipse", segmenter=make_segmenter(**kind), steps=1, outlines=True).eval()
    if kept == "on disk":
        monkeypatch.setattr(long, "LARGEST", 32 * 48)
        monkeypatch.setattr(long, "AT_ONCE", 32 * 48)
    learner.outlines.weights[0].copy_(torch.tensor([0.4, 0, 0.3, 0.6, -0.3, 0, 0]))
    frames, seen = learner.segmenter.annotated(video, [])[0], []
    draw = learner.segmenter.draw
    learner.segmenter.draw = lambda masks, frames, *how: seen.append(frames) or draw(masks, frames, *how)
    drawn = learner.predict(video)
    assert all(len(each) == 1 for each in seen)
    order = [int((frames == each).flatten(1).all(1).nonzero()) for each in seen]
    assert order == sorted(order)
    assert set(order) == set(range(len(video)))
    learner.outlines.weights[0].copy_(torch.eye(7)[0])
    assert learner.predict(video).segmentations != drawn.segmentations


@torch.inference_mode()
def test_a_video_that_lies_on_disk_is_drawn_alike(video, monkeypatch):
    learner = make_learner("eclipse", steps=1, outlines=True).eval()
    learner.outlines.weights[0].copy_(torch.tensor([0.4, 0, 0.3, 0.6, -0.3, 0, 0]))
    whole = learner.predict(video)
    monkeypatch.setattr(long, "LARGEST", 32 * 48)
    again = learner.predict(video)
    assert (again.category_ids, again.segmentations) == (whole.category_ids, whole.segmentations)
    assert again.scores == pytest.approx(whole.scores, abs=1e-5)


def test_padding_draws_nothing():
    """A dark object that the frame cuts off: what the model pads it with is black, too."""
    _, frames, mask = disc_of(0, on=160, centre=33.3, height=40)
    made = Outlines()
    made.weights[0].copy_(torch.tensor([0, 0.2, -0.4, 0.8, 0, 0.4, 0]))
    padded = F.pad(mask, (0, 4, 0, 6), value=2.0)
    assert torch.equal(made(padded, frames, (64, 112), FIRST), made(mask, frames, (40, 96), FIRST))


def test_a_killed_run_goes_on_and_every_step_is_drawn_alike(stream, tmp_path, monkeypatch):
    def configured(name):
        few = ("learner.num_prompts=3", "schedule.incremental.iterations=4", "runtime.checkpoint_every=2")
        return settings(stream, tmp_path / name, "anchor", *few)

    whole = run(configured("whole"))
    with monkeypatch.context() as patch:
        die_at(patch, [(1, 3)])
        with pytest.raises(Killed):
            run(configured("broken"))
    assert_same_run(whole, run(configured("broken")))
    assert json.loads((whole / "metrics.json").read_text())["label"] == "ANCHOR"
    learners = [load_trained(whole, step, "cpu").learner for step in range(3)]
    weights = [one.outlines.weights for one in learners]
    assert list(map(len, weights)) == [1, 2, 3]
    assert torch.equal(weights[0], weights[2][:1])
    assert torch.equal(weights[1], weights[2][:2])
    assert len(weights[2].unique(dim=0)) > 1  # of what this untrained model finds in some step
    video = load_scenario(stream).test.videos[0]
    with torch.inference_mode():
        own = [learner.predict(video) for learner in learners]
        assert learners[-1].predict_steps(video, [learner.heads() for learner in learners]) == own
