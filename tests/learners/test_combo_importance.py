"""What CoMBO holds dear: importance from matching costs over a step's data, and the distance that it weights."""

import itertools
from dataclasses import replace

import plain_distillation as plain
import pytest
import torch
from compared_runs import assert_same_run
from interrupted import Killed
from tiny import settings
from two_models import disturb, look, losses_of, make_clip, make_learner, make_segmenter

from cvis.data.clips import ClipDataset, ClipSampling, collate
from cvis.engine import checkpoint
from cvis.engine.run import run
from cvis.learners import build_learner
from cvis.learners.combo import importance_distillation
from cvis.scenario import load_scenario
from cvis.segmenters.mask2former import criterion
from cvis.segmenters.mask2former.criterion import pad_tracks
from cvis.segmenters.mask2former.model import Mask2Former
from cvis.types import NO_OBJECT, Targets

SAMPLING = ClipSampling(short_sides=(32,))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def tasks(stream):
    return list(load_scenario(stream))


def at_the_end_of(task, tasks, **keys):
    """A learner in float64, changed by every step up to the end of this one, when it is to look at the data."""
    learner = build_learner({"type": "combo", "rank": 4, **keys}, make_segmenter()).double()
    learner.sampling = SAMPLING
    for each in tasks[: task + 1]:
        torch.manual_seed(each.index)
        learner.begin_task(each)
        learner.double()
        disturb(learner, each.index, 0.2)
        learner.eval()
        if each.index < task:
            learner.end_task(each)
    return learner


def costs(logits, masks, column, target) -> float:
    """A(n, s) = -2 p + 5 BCE + 5 dice of one query and one track, masks at half the size of the target."""
    x, t = [], []
    for f, i, j in itertools.product(*(range(size) for size in masks.shape)):
        x.append(masks[f, i, j].item())
        t.append(target[f, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].double().mean().item())  # bilinear, at its centre
    inside = [plain.sigmoid(value) for value in x]
    bce = sum(plain.bce(a, b) for a, b in zip(x, t, strict=True)) / len(x)
    dice = 1 - (2 * sum(a * b for a, b in zip(inside, t, strict=True)) + 1) / (sum(inside) + sum(t) + 1)
    return -2 * plain.probabilities(logits.tolist())[column] + 5 * bce + 5 * dice


@torch.no_grad()
def plain_importance(learner, task) -> list[float]:
    """Algorithm 1: B(n) sums the cheapest match of query n over the clips; 1 - B scaled to 0..1."""
    buffer = [0.0] * 6
    clips = ClipDataset(task.train, SAMPLING)
    for index in range(len(clips)):
        clip = collate([clips[index, 0]])
        memory = learner.segmenter.features(clip.frames)
        (answer,) = learner.segmenter.with_masks(memory, learner.decode(learner.segmenter, memory)[-1:])
        columns = [learner.segmenter.classes.index(c) for c in clip.targets[0].category_ids.tolist()]
        tracks = list(zip(columns, clip.targets[0].masks, strict=True))
        for n in range(6):
            buffer[n] += min(costs(answer.logits[0, n], answer.masks[0, n], *track) for track in tracks)
    low, high = min(buffer), max(buffer)
    return [1 - (value - low) / (high - low) for value in buffer]


def test_importance_is_the_scaled_sum_of_matching_costs(tasks):
    learner = at_the_end_of(0, tasks)
    assert learner.query_importance.tolist() == [1.0] * 6
    expected = plain_importance(learner, tasks[0])
    learner.end_task(tasks[0])
    assert learner.query_importance.tolist() == pytest.approx(expected, abs=1e-9)
    assert (min(expected), max(expected)) == (0.0, 1.0)


def test_importance_is_a_mean_over_the_classes_so_far(tasks):
    """Two classes in step 0, one in step 1: its adapter refines what it looks at."""
    learner = at_the_end_of(1, tasks)
    learner.segmenter.class_heads.steps[1].bias.data += 1
    before, own = learner.query_importance.tolist(), plain_importance(learner, tasks[1])
    learner.end_task(tasks[1])
    expected = [2 / 3 * old + 1 / 3 * new for old, new in zip(before, own, strict=True)]
    assert learner.query_importance.tolist() == pytest.approx(expected, abs=1e-9)
    assert learner.query_importance.tolist() != pytest.approx(before, abs=1e-3)


def test_clips_without_a_track_of_a_class_are_left_out(tasks):
    task = tasks[0]
    first = task.train.videos[0].id
    hidden = {v: tuple(replace(t, category_id=NO_OBJECT) for t in ts) if v == first else ts
              for v, ts in task.train.tracks.items()}  # fmt: skip
    others = [video.id for video in task.train.videos[1:]]
    found = []
    for videos in (task.train, task.train.with_tracks(hidden, "hidden"), task.train.select(others)):
        learner = at_the_end_of(0, tasks)
        learner.end_task(replace(task, train=videos))
        found.append(learner.query_importance.tolist())
    assert found[1] == found[2] != found[0]


def test_the_pass_is_the_same_in_any_order_and_draws_nothing_at_random(tasks):
    found = []
    for seed, videos in enumerate((tasks[0].train.videos, tasks[0].train.videos[::-1])):
        learner = at_the_end_of(0, tasks)
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        learner.end_task(replace(tasks[0], train=replace(tasks[0].train, videos=videos)))
        assert torch.equal(torch.get_rng_state(), state)
        assert not learner.query_importance.requires_grad
        found.append(learner.query_importance.tolist())
    assert found[0] == pytest.approx(found[1], abs=1e-12)


@pytest.mark.parametrize("keys", [dict(importance="uniform"), dict(importance="confidence"), dict(ikd_weight=0.0)])
def test_who_does_not_need_it_does_not_look(tasks, keys, monkeypatch):
    monkeypatch.setattr(Mask2Former, "matching_costs", None)
    learner = at_the_end_of(0, tasks, **keys)
    learner.end_task(tasks[0])
    assert learner.query_importance.tolist() == [1.0] * 6


def test_costs_are_those_of_the_matching():
    """Where masks are the same everywhere, any points inside will do: those of training give the same costs."""
    segmenter = make_segmenter().double()
    segmenter.add_classes((7, 40, 41))
    clip = make_clip()
    output = segmenter.decode(segmenter.features(clip.frames))[-1]
    flat = replace(output, masks=output.masks[..., :1, :1].expand_as(output.masks))
    whole = [Targets(t.category_ids, torch.ones_like(t.masks)) for t in clip.targets]
    found = segmenter.matching_costs(flat, whole)
    assert [tuple(cost.shape) for cost in found] == [(6, 2), (6, 0)]
    padded = pad_tracks([target.masks for target in whole], torch.float64)
    pixels = output.masks.shape[-2] * output.masks.shape[-1]  # as many: the dice has a constant in it
    points = 0.1 + 0.8 * torch.rand(2, pixels, 2, dtype=torch.float64)
    expected = segmenter._criterion.costs([flat], segmenter._columns(whole), padded, points)
    torch.testing.assert_close(found[0], expected[0, 0], rtol=0, atol=1e-12)


def plain_distance(queries, old, importance) -> float:
    """1/N sum_n I(n) ||Q_n - Q'_n||^2, mean over the clips."""
    clips, number, dim = queries.shape
    total = 0.0
    for b, n in itertools.product(range(clips), range(number)):
        total += importance[b][n] * sum((queries[b, n, d] - old[b, n, d]).item() ** 2 for d in range(dim))
    return total / number / clips


def test_importance_distillation():
    queries, old = torch.randn(2, 2, 3, 5, dtype=torch.float64)
    weight = torch.rand(2, 3, dtype=torch.float64)
    found = importance_distillation(queries, old, weight).item()
    assert found == pytest.approx(plain_distance(queries, old, weight.tolist()), rel=1e-12)
    found = importance_distillation(queries, old, weight[0]).item()
    assert found == pytest.approx(plain_distance(queries, old, [weight[0].tolist()] * 2), rel=1e-12)
    assert torch.autograd.gradcheck(lambda q: importance_distillation(q, old, weight), queries.requires_grad_())


@pytest.mark.parametrize("importance", ["matching_cost", "uniform", "confidence"])
def test_the_original_queries_are_what_is_distilled(importance):
    learner = make_learner("combo", 3, importance=importance).double()
    disturb(learner, 4, 0.2)
    if importance == "matching_cost":
        learner.query_importance.uniform_()
    clip = make_clip((50,))
    with torch.no_grad():
        maps = learner.segmenter.extract(clip.frames)
        ours = learner.segmenter.decode_queries(learner.segmenter.encode(maps))[-1]
        theirs = learner.teacher.segmenter.decode_queries(learner.teacher.segmenter.encode(maps))[-1]
        _, old = look(learner, clip)
    weight = [learner.query_importance.tolist()] * 2
    if importance == "confidence":
        weight = [[max(plain.probabilities(row)[:-1]) for row in rows] for rows in old.layers[-1].logits.tolist()]
    expected = 3 * plain_distance(ours.state, theirs.state, weight)
    assert losses_of(learner, clip)["loss_ikd"].item() == pytest.approx(expected, rel=1e-9)


def test_classification_is_half_and_half_of_the_answers_in_every_layer():
    """2 CE + 5 KL whatever the segmenter's own class weight is, of layers before and of the refined answer."""
    segmenter = make_segmenter(criterion=dict(num_points=64, class_weight=7.0))
    learner = make_learner("combo", 3, segmenter=segmenter, pseudo_labels=False).double()
    disturb(learner, 4, 0.2)
    clip = make_clip((50,))
    with torch.no_grad():
        new, old = look(learner, clip)
        found = losses_of(learner, clip)
        torch.manual_seed(0)
        padded = pad_tracks([target.masks for target in clip.targets], torch.float64)
        query = learner.segmenter._criterion.match(new, learner.segmenter._columns(clip.targets), padded).query
    for index, (ours, theirs) in enumerate(zip(new, old.layers, strict=True)):
        columns = [6] * 12
        columns[int(query[index, 0])] = 5
        rows = ours.logits.flatten(0, 1).tolist(), columns, theirs.logits.flatten(0, 1).tolist()
        name = "loss_cls" if index == len(new) - 1 else f"d{index}.loss_cls"
        assert found[name].item() == pytest.approx(plain.half_half(*rows, 2.0, 5.0), rel=1e-9)


@pytest.mark.parametrize(("keys", "weight"), [({}, 2.0), (dict(class_weight=3.0), 3.0), (dict(hdhl=False), 7.0)])
def test_where_costs_follow_the_losses_a_match_weighs_classes_as_the_class_loss_does(keys, weight, monkeypatch):
    segmenter = make_segmenter(criterion=dict(num_points=64, class_weight=7.0, cost_weights="losses"))
    learner = make_learner("combo", 3, segmenter=segmenter, **keys)
    seen = []
    original = criterion.pairwise_cost
    monkeypatch.setattr(
        criterion, "pairwise_cost", lambda *given, weights: seen.append(weights) or original(*given, weights)
    )
    losses_of(learner, make_clip((50,)))
    assert set(seen) == {(weight, 5.0, 5.0)}


def test_a_run_killed_while_it_looks_at_the_data_ends_as_a_whole_one(stream, tmp_path, monkeypatch):
    def configured(name):
        return settings(stream, tmp_path, "combo", "learner.rank=4", "schedule.clip_grad=1.0", name=name)

    whole = run(configured("whole"))
    original, calls = Mask2Former.matching_costs, itertools.count()

    def dying(self, *arguments):
        if next(calls) in (3, 15):  # in step 0, and in step 1 or 2
            raise Killed
        return original(self, *arguments)

    monkeypatch.setattr(Mask2Former, "matching_costs", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            run(configured("broken"))
    assert_same_run(whole, run(configured("broken")))
    found = [checkpoint.load(whole / f"step{s}" / "model.pth")["state"]["query_importance"] for s in range(3)]
    assert (found[0].min(), found[0].max()) == (0, 1)
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])
