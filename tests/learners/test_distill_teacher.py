"""The old model: looked at once a batch, never trained, never stored, and query by query what the student was."""

import copy

import pytest
import torch
from two_models import (
    DISTILLERS,
    begin,
    disturb,
    look,
    losses_of,
    make_clip,
    make_learner,
    make_segmenter,
    make_task,
    permuted,
)

from cvis.learners.distill import Distiller, Teacher

ALL = sorted(DISTILLERS)


@pytest.mark.parametrize("name", ALL)
def test_no_gradient_leads_into_the_teacher_and_all_that_learns_gets_one(name):
    learner = make_learner(name)
    disturb(learner, 5)
    before = copy.deepcopy(learner.teacher.segmenter.state_dict())
    parameters = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, 0.1)
    for index in range(2):
        losses = losses_of(learner, make_clip(seed=index))
        assert all(value.dim() == 0 and torch.isfinite(value) for value in losses.values())
        learner.zero_grad()
        sum(losses.values()).backward()
        assert not any(p.requires_grad or p.grad is not None for p in learner.teacher.segmenter.parameters())
        assert [n for n, p in learner.named_parameters() if p.requires_grad and p.grad is None] == []
        optimizer.step()
    after = learner.teacher.segmenter.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("freeze", [True, False])
def test_the_teacher_stays_in_eval_mode(freeze):
    learner = make_learner("mib", freeze=freeze)
    for mode in (True, False, True):
        learner.train(mode)
        assert not any(module.training for module in learner.teacher.segmenter.modules())
        assert learner.segmenter.class_heads.training is mode
        assert learner.segmenter.backbone.training is (mode and not freeze)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("freeze", "passes"), [(True, 1), (False, 2)])
def test_both_models_look_once_a_batch(name, freeze, passes, monkeypatch):
    """One more pass of what learns, and of the backbone none if it is frozen: that is the price of a teacher."""
    learner = make_learner(name, freeze=freeze)
    calls = []

    def counted(what, where, attribute):
        original = getattr(where, attribute)
        monkeypatch.setattr(where, attribute, lambda *a, **k: (calls.append(what), original(*a, **k))[1])

    for segmenter, who in ((learner.segmenter, "new"), (learner.teacher.segmenter, "old")):
        for part in ("pixel_decoder", "decoder", "class_heads"):
            counted(f"{who} {part}", getattr(segmenter, part), "forward")
        counted(f"{who} masks", segmenter, "with_masks")
    for backbone in {learner.segmenter.backbone, learner.teacher.segmenter.backbone}:
        counted("backbone", backbone, "forward")
    losses_of(learner, make_clip())
    assert calls.count("backbone") == passes
    for part in ("pixel_decoder", "decoder", "class_heads"):
        looks = 2 if (name, part) == ("combo", "class_heads") else 1  # its adapters are chosen by class
        assert (calls.count(f"new {part}"), calls.count(f"old {part}")) == (looks, 1)
    assert calls.count("new masks") == 1
    assert calls.count("old masks") <= 1


def test_masks_of_the_teacher_are_made_only_if_asked_for():
    learner = make_learner("mib")
    _, old = look(learner, make_clip())
    assert "answer" not in vars(old)
    assert old.answer is old.answer
    assert not old.answer.masks.requires_grad


@pytest.mark.parametrize("freeze", [True, False])
def test_the_teacher_is_in_no_checkpoint_and_no_optimiser(freeze):
    learner, plain = make_learner("comformer", freeze=freeze), make_learner("finetune", freeze=freeze)
    assert learner.state_dict().keys() == plain.state_dict().keys()
    assert dict(learner.named_parameters()).keys() == dict(plain.named_parameters()).keys()
    assert dict(learner.named_buffers()).keys() == dict(plain.named_buffers()).keys()
    own = {id(p) for p in learner.teacher.segmenter.parameters()}
    grouped = {id(p) for group in learner.param_groups() for p in group["params"]}
    assert not own & grouped
    assert bool(own & {id(p) for p in learner.segmenter.backbone.parameters()}) is freeze  # shared, not copied


def test_the_teacher_follows_its_learner_to_another_type_and_device():
    learner = make_learner("combo", freeze=False).double()
    assert {p.dtype for p in learner.teacher.segmenter.parameters()} == {torch.float64}
    losses = losses_of(learner, make_clip())
    assert losses["loss_cls"].dtype == torch.float64
    learner = make_learner("combo").to("meta")
    assert {p.device.type for p in learner.teacher.segmenter.parameters()} == {"meta"}
    assert learner.teacher.segmenter.mean.device.type == "meta"


def test_there_is_no_teacher_between_steps_and_each_step_has_its_own():
    learner = make_learner("mib", 2)
    first = learner.teacher.segmenter
    assert first.classes == [7, 3, 12]
    learner.eval().end_task(make_task(1))
    assert learner.teacher is None
    begin(learner, 2)
    assert learner.teacher.segmenter.classes == [7, 3, 12, 40, 41]
    assert learner.teacher.segmenter is not first
    assert not hasattr(learner.teacher.segmenter, "teacher")


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.parametrize("name", sorted(set(ALL) - {"pseudo"}))
def test_query_i_of_the_student_is_query_i_of_the_teacher(name, steps, freeze):
    """When a step begins they are one model: same queries, same masks, same logits of old classes, in every layer."""
    learner = make_learner(name, steps, freeze)
    if name == "combo":  # masks of refined queries are weighted by probabilities: let no new class take any
        learner.segmenter.class_heads.steps[-1].bias.data.fill_(-1e4)
    with torch.no_grad():
        new, old = look(learner, make_clip())
    num_old = len(old.classes)
    assert num_old == (3 if steps == 2 else 5)
    assert learner.segmenter.classes[:num_old] == old.classes
    assert len(new) == len(old.layers) == 3
    for ours, theirs in zip(new, old.layers, strict=True):
        assert torch.equal(ours.queries, theirs.queries)
        assert torch.equal(ours.state, theirs.state)
        torch.testing.assert_close(ours.mask_embeddings, theirs.mask_embeddings, rtol=0, atol=1e-6)
        torch.testing.assert_close(ours.logits[..., :num_old], theirs.logits[..., :num_old], rtol=0, atol=1e-6)
        imprinted = getattr(learner, "imprint", False)
        torch.testing.assert_close(
            ours.logits[..., num_old:].logsumexp(-1) if imprinted else ours.logits[..., -1],
            theirs.logits[..., -1],
            rtol=0,
            atol=1e-5,
        )
    torch.testing.assert_close(new[-1].masks, old.answer.masks, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "loss", "keys"),
    [
        ("mib", "loss_kd", {}),
        ("mib-all", "loss_kd", {}),
        ("mib-all", "loss_mask_kd", {}),
        ("comformer", "loss_kd", {}),
        ("comformer-soft", "loss_kd", {}),
        ("combo", "loss_ikd", {}),
        ("combo", "loss_cls", dict(pseudo_labels=False)),
        ("balconpas", "loss_feature", dict(min_overlap=0.0)),
    ],
)
def test_the_order_of_queries_matters(name, loss, keys):
    learner = make_learner(name, **keys)
    with torch.no_grad():
        # so small a model, untrained, sees hardly anything: let its teacher be sure of old classes
        learner.teacher.segmenter.class_heads.no_object.bias -= 3
        new, old = look(learner, make_clip())
        found = []
        for view in (old, permuted(old, [1, 2, 3, 4, 5, 0])):
            torch.manual_seed(0)
            found.append(learner.losses(make_clip(), new, view)[loss])
    assert (found[0] - found[1]).abs() > 1e-4


@pytest.mark.parametrize("change", [lambda s: s.add_query_group(2, 1), None])
def test_a_teacher_with_other_queries_is_refused(change):
    learner = make_learner("mib")
    other = make_segmenter(num_queries=4)
    other.add_classes((7, 3, 12))
    if change:  # other groups are not looked at, so they do not matter
        change(learner.segmenter)
        losses_of(learner, make_clip())
    learner.teacher = Teacher(other)
    with pytest.raises(ValueError, match=r"same queries in the same order, not \(2, 4, 32\) and \(2, 6, 32\)"):
        losses_of(learner, make_clip())


def test_a_method_without_losses_says_so():
    class Mine(Distiller):
        pass

    learner = Mine(make_segmenter())
    begin(learner, 0)
    begin(learner, 1)
    with pytest.raises(TypeError, match="Mine defines no losses"):
        learner.loss(make_clip())


def test_the_learning_rate_of_later_steps_is_a_factor():
    assert {g.get("lr_mult", 1.0) for g in make_learner("mib", 1, lr_mult=0.5).param_groups()} == {1.0}
    assert {g["lr_mult"] for g in make_learner("mib", 2, lr_mult=0.5).param_groups()} == {0.5}
