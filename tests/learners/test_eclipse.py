"""ECLIPSE: what is initialised how, what learns, what never moves, and how groups are put together."""

import math
from pathlib import Path

import pytest
import torch
from compared_runs import assert_same_run
from interrupted import Killed, die_at
from mmengine.config import Config
from tiny import settings

from cvis.engine.run import run
from cvis.errors import UserError
from cvis.files import shipped
from cvis.learners import build_learner
from cvis.learners.eclipse import Eclipse
from cvis.scenario import Task
from cvis.segmenters.outputs import Residual
from cvis.segmenters.registry import build_segmenter
from cvis.types import Clip, Targets

STEPS = ((7, 3, 12), (40, 41), (50,))
PROMPTS = 4


def make_task(index: int) -> Task:
    old = tuple(category for step in STEPS[:index] for category in step)
    return Task(index, STEPS[index], old, train=None, hidden=0)


def make_learner(steps: int = 3, class_head: str = "mlp", **keys) -> Eclipse:
    torch.manual_seed(0)
    file = shipped("configs") / "segmenters" / "mask2former_tiny.py"
    config = Config.fromfile(file).to_dict()["segmenter"]
    config.update(num_queries=6, class_head=class_head, criterion=dict(num_points=64), test=dict(short_side=32))
    learner = build_learner({"type": "eclipse", "num_prompts": PROMPTS, **keys}, build_segmenter(config))
    for index in range(steps):
        learner.eval()
        learner.begin_task(make_task(index))
    return learner


def make_clip(step: int) -> Clip:
    generator = torch.Generator().manual_seed(step)
    frames = torch.randint(0, 256, (2, 2, 3, 32, 48), dtype=torch.uint8, generator=generator)
    masks = torch.zeros(1, 2, 32, 48, dtype=torch.bool)
    masks[:, :, 4:20, 6:30] = True
    target = Targets(torch.tensor([STEPS[step][0]]), masks)
    return Clip(frames, torch.tensor([[32, 48]] * 2), (target, target), ("a", "b"))


def own_parameters(step: int, mask_head: bool = True, no_object: bool = True) -> set[str]:
    """Names of what a prompt step trains, written out."""
    names = [f"groups.{step}.queries", f"groups.{step}.positions"]
    modules = [f"class_heads.steps.{step}"]
    modules += [f"groups.{step}.mask_head"] if mask_head else []
    modules += ["class_heads.no_object"] if no_object else []
    layers = [f"{module}.{layer}.{kind}" for module in modules for layer in (0, 2, 4) for kind in ("weight", "bias")]
    return {f"segmenter.{name}" for name in (*names, *layers)}


@pytest.mark.parametrize(("mask_head", "no_object"), [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize("classification", ["softmax_ce", "sigmoid_focal"])
def test_gradients_reach_what_they_should_and_nothing_else_changes(classification, mask_head, no_object):
    learner = make_learner(steps=0, classification=classification, own_mask_head=mask_head, train_no_object=no_object)
    for step in range(3):
        learner.eval()
        learner.begin_task(make_task(step))
        learner.train()
        before = {name: value.clone() for name, value in learner.state_dict().items()}
        parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, 1e-2, weight_decay=0.05)
        for iteration in range(2):
            learner.zero_grad()
            sum(learner.loss(make_clip(step)).values()).backward()
            reached = {name for name, p in learner.named_parameters() if p.grad is not None}
            expected = (
                own_parameters(step, mask_head, no_object) if step else {n for n, _ in learner.named_parameters()}
            )
            assert reached == expected, iteration
            optimizer.step()
        changed = {name for name, value in learner.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == expected
        learner.zero_grad()


def test_fine_masks_begin_as_the_others_and_then_go_their_own_way():
    learners = [make_learner(steps=2, fine_masks=fine) for fine in (False, True)]
    plain, fine = (learner.segmenter for learner in learners)
    fine.groups[1].queries.data.copy_(plain.groups[1].queries)
    clip, dim = make_clip(1), plain.class_heads.dim
    with torch.no_grad():
        answers = [model.decode(model.features(clip.frames, clip.sizes), 1)[-1].masks for model in (plain, fine)]
    torch.testing.assert_close(*answers)
    sum(learners[1].loss(clip).values()).backward()
    assert fine.groups[1].mask_head[-1].weight.grad[dim:].any()


def test_fine_masks_need_mask_heads_of_their_own():
    with pytest.raises(UserError, match=r"^learner\.fine_masks: true: needs .*set learner\.own_mask_head=true$"):
        make_learner(steps=0, own_mask_head=False, fine_masks=True)


def test_a_frozen_segmenter_stays_in_eval_mode():
    learner = make_learner(1)
    learner.train()
    assert learner.segmenter.training
    learner.begin_task(make_task(1))
    learner.train()
    assert not any(module.training for module in learner.segmenter.modules())


def test_mean_and_copy_initialisation():
    learner = make_learner(1)
    base = learner.segmenter.group(0)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    learner.begin_task(make_task(1))
    group, heads = learner.segmenter.group(1), learner.segmenter.class_heads
    queries = [sum(column) / 6 for column in zip(*base.queries.tolist(), strict=True)]
    positions = [sum(column) / 6 for column in zip(*base.positions[0].tolist(), strict=True)]
    assert group.queries.shape == (PROMPTS, 64)
    assert group.positions.shape == (3, PROMPTS, 64)  # one for each decoder layer
    for row in group.queries.tolist():
        assert row == pytest.approx(queries, abs=1e-6)
    for row in group.positions.flatten(0, 1).tolist():
        assert row == pytest.approx(positions, abs=1e-6)
    for name, value in base.mask_head.state_dict().items():
        assert torch.equal(value, group.mask_head.state_dict()[name])
    for name, value in heads.no_object.state_dict().items():
        copied = heads.steps[1].state_dict()[name]
        assert torch.equal(copied, value.expand_as(copied) if name.startswith("4") else value)
    assert heads.steps[1][4].weight.shape == (2, 64)
    assert group.mask_head[0].weight.data_ptr() != base.mask_head[0].weight.data_ptr()


def test_shapes_depend_on_the_tasks_alone_and_the_state_rebuilds_the_learner():
    trained, fresh = make_learner(), make_learner()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(torch.randn_like(parameter))
    fresh.load_state_dict(trained.state_dict(), strict=True)
    clip = make_clip(2)
    with torch.no_grad():
        memories = [one.segmenter.features(clip.frames) for one in (trained, fresh)]
    for group in range(3):
        a, b = (one.segmenter.decode(m, group)[-1] for one, m in zip((trained, fresh), memories, strict=True))
        assert torch.equal(a.masks, b.masks)
        assert torch.equal(a.logits, b.logits)


def test_prompts_are_not_decayed():
    learner = make_learner()
    names = {id(parameter): name for name, parameter in learner.named_parameters()}
    groups = learner.param_groups()
    given = {names[id(p)] for group in groups for p in group["params"]}
    free = {names[id(p)] for group in groups if group["decay_mult"] == 0 for p in group["params"]}
    assert given == own_parameters(2)
    assert free == {"segmenter.groups.2.queries", "segmenter.groups.2.positions"}
    assert not any(group["backbone"] for group in groups)


def test_prompts_have_a_learning_rate_of_their_own():
    assert {group.get("lr_mult", 1.0) for group in make_learner(1, lr_mult=5.0).param_groups()} == {1.0}
    assert {group["lr_mult"] for group in make_learner(2, lr_mult=5.0).param_groups()} == {5.0}


@pytest.mark.parametrize(("aux", "layers"), [("first_last", 2), ("all", 4)])
def test_supervised_layers(aux, layers):
    losses = make_learner(aux_supervision=aux).loss(make_clip(2))
    assert len(losses) == 3 * layers
    assert sum(name.endswith("loss_cls") for name in losses) == layers


def test_only_the_newest_group_is_decoded_and_hooks_see_every_layer(monkeypatch):
    learner = make_learner()
    seen = []
    prompt = Residual(torch.randn(PROMPTS, 64))
    monkeypatch.setattr(learner, "_residual", lambda: prompt)
    monkeypatch.setattr(
        learner, "_extra_losses", lambda layers: seen.extend(layers) or {"loss_extra": layers[-1].sum()}
    )
    original = learner.segmenter.decoder.forward
    decoded = []

    def spy(memory, groups, residual=None, *rest, **named):
        decoded.append(([group.step for group, _ in groups], residual))
        return original(memory, groups, residual, *rest, **named)

    monkeypatch.setattr(learner.segmenter.decoder, "forward", spy)
    assert "loss_extra" in learner.loss(make_clip(2))
    assert decoded == [([2], prompt)]
    assert [tuple(state.shape) for state in seen] == [(2, PROMPTS, 64)] * 4
    assert torch.equal(seen[0][0], learner.segmenter.group(2).queries)


def test_class_weight_scales_the_classification_loss_of_prompt_steps():
    plain, heavy = make_learner(), make_learner(class_weight=20.0)
    heavy.load_state_dict(plain.state_dict())
    losses = []
    for learner in (plain, heavy):
        torch.manual_seed(1)
        losses.append(learner.loss(make_clip(2)))
    for name, value in losses[0].items():
        factor = 10.0 if name.endswith("loss_cls") else 1.0  # the segmenter's weight is 2
        assert losses[1][name].item() == pytest.approx(factor * value.item(), rel=1e-5)


def test_a_base_step_alone_predicts_as_the_segmenter_does(video):
    learner = make_learner(1, deltas=[0.9]).eval()
    assert learner.predict(video) == learner.segmenter.predict(video)


@pytest.mark.parametrize("classification", ["softmax_ce", "sigmoid_focal"])
@pytest.mark.parametrize("deltas", [(0.5, 0.6), (-0.3,), (0,), (0.1, 0.2, 0.3, 0.4)])
def test_scores_are_the_formula(classification, deltas):
    """Per group, with its delta: manipulated no-object, own classes, nothing for those of others."""
    from test_logit_manipulation import plain_manipulation, sigmoid

    learner = make_learner(classification=classification, deltas=deltas)
    owned, logits = ((0, 1, 2), (3, 4), (5,)), torch.randn(5, 7) * 3
    for group, own in enumerate(owned):
        delta = deltas[min(group, len(deltas) - 1)]
        for row, found in zip(logits.tolist(), learner.scores(logits, group, 3).tolist(), strict=True):
            z = torch.tensor(plain_manipulation(row, own, delta), dtype=torch.float64)
            total = sum(z[c].exp().item() for c in (*own, 6))
            for column, score in enumerate(found):
                if column not in own:
                    assert score == -torch.inf
                elif classification == "softmax_ce":
                    assert score == pytest.approx(z[column].exp().item() / total, rel=1e-4)
                elif z[column] > z[6]:
                    assert score == pytest.approx(sigmoid(z[column].item()), rel=1e-4)
                else:
                    assert score == -torch.inf


@pytest.mark.parametrize("deltas", [(0.5, 0.6), (-0.3,), (0,)])
def test_other_classes_can_keep_their_part_of_the_softmax(deltas):
    """As the released code scores: exp(z_c) over the sum of all columns, -10 for what the group does not own."""
    from test_logit_manipulation import plain_manipulation

    learner = make_learner(deltas=deltas, other_classes="at_minus_10")
    owned, logits = ((0, 1, 2), (3, 4), (5,)), torch.randn(5, 7, dtype=torch.float64) * 3
    for group, own in enumerate(owned):
        delta = deltas[min(group, len(deltas) - 1)]
        for row, found in zip(logits.tolist(), learner.scores(logits, group, 3).tolist(), strict=True):
            z = plain_manipulation(row, own, delta)
            assert [z[c] for c in range(6) if c not in own] == [-10.0] * (6 - len(own))
            total = sum(math.exp(value) for value in z)
            assert found == pytest.approx([math.exp(value) / total for value in z[:-1]], rel=1e-12)


@pytest.mark.parametrize(("other_classes", "score"), [("left_out", 0.66), ("at_minus_10", 0.56)])
def test_what_39_other_classes_take(other_classes, score):
    """0.66 = 1 / (1 + e^-0.66), and with 39 e^-10 / e^-5 in the denominator too, 0.56."""
    torch.manual_seed(0)
    learner = make_learner(1, deltas=[0], other_classes=other_classes)
    learner.begin_task(Task(1, tuple(range(100, 136)), STEPS[0], train=None, hidden=0))
    learner.begin_task(Task(2, (50,), (), train=None, hidden=0))
    logits = torch.zeros(1, 41, dtype=torch.float64)  # 3 + 36 classes of others, one of its own, no-object
    logits[0, -2:] = torch.tensor([-5.0, -5.66], dtype=torch.float64)
    others = 39 * math.exp(-10) if other_classes == "at_minus_10" else 0
    exact = math.exp(-5) / (math.exp(-5) + math.exp(-5.66) + others)
    found = learner.scores(logits, 2, 3)[0, -1].item()
    assert found == pytest.approx(exact, rel=1e-12)
    assert round(found, 2) == score


def test_predictions_name_only_classes_that_were_learned(video):
    tracks = make_learner().eval().predict(video)
    assert set(tracks.category_ids) <= {7, 3, 12, 40, 41, 50}
    assert len(tracks.scores) == 10
    assert list(tracks.scores) == sorted(tracks.scores, reverse=True)


@pytest.mark.parametrize(("answers", "top_k", "new"), [("video", 1000, PROMPTS), ("group", 3, 3)])
def test_zero_interference_of_predictions(video, answers, top_k, new):
    """With deltas 0 and a fixed no-object, older groups predict the same bits before and after a later step.

    That is if there is room for all answers, or every group has a list of its own.
    """
    learner = make_learner(2, deltas=[0], train_no_object=False, answers=answers).eval()
    learner.segmenter.inference = type(learner.segmenter.inference)(short_side=32, top_k=top_k)
    before = learner.predict(video)
    learner.begin_task(make_task(2))
    learner.train()
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], 1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        sum(learner.loss(make_clip(2)).values()).backward()
        optimizer.step()
    after = learner.eval().predict(video)

    def of_old_classes(tracks):
        entries = zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True)
        return sorted((c, s, str(m)) for c, s, m in entries if c != 50)

    assert len(after.scores) == len(before.scores) + new
    assert of_old_classes(after) == of_old_classes(before)


def test_a_positive_delta_is_where_zero_interference_ends(video):
    """Not a wish but a fact to be known: a new class makes no-object likelier to the older groups."""
    learner = make_learner(2, deltas=[0.5], train_no_object=False).eval()
    before = learner.predict(video)
    learner.begin_task(make_task(2))
    assert learner.eval().predict(video).scores != before.scores


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (dict(num_prompts=0), r"learner\.num_prompts: 0"),
        (dict(deltas=[]), r"learner\.deltas: \[\]"),
        (dict(deltas=["a"]), r"learner\.deltas\.0: 'a'"),
        (dict(other_classes="zero"), r"learner\.other_classes: 'zero'.*'left_out' or 'at_minus_10'"),
        (dict(answers="all"), r"learner\.answers: 'all'.*'video' or 'group'"),
        (dict(aux_supervision="last"), r"learner\.aux_supervision: 'last'.*first_last"),
        (dict(classification="focal"), r"learner\.classification: 'focal'.*sigmoid_focal"),
        (dict(class_weight=-1), r"learner\.class_weight: -1"),
        (dict(lr_mult="5"), r"learner\.lr_mult: '5'"),
    ],
)
def test_wrong_settings_are_named(wrong, words):
    with pytest.raises(UserError, match=words):
        make_learner(0, **wrong)


def test_the_focal_loss_has_a_step_zero_of_its_own():
    assert not make_learner(0).own_step0
    assert make_learner(0, classification="sigmoid_focal").own_step0


def test_a_run_interrupted_inside_a_prompt_step_does_not_initialise_anew(stream, tmp_path, monkeypatch):
    def configured(root: Path) -> dict:
        return settings(stream, root, "eclipse", "learner.num_prompts=3")

    whole = run(configured(tmp_path / "whole"))
    die_at(monkeypatch, [(1, 3), (2, 2)])
    for _ in range(2):
        with pytest.raises(Killed):
            run(configured(tmp_path / "broken"))
    assert_same_run(whole, run(configured(tmp_path / "broken")))
