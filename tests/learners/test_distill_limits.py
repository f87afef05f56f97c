"""What theory says of the distillation methods where their formulas have a known value."""

import pytest
import torch
from two_models import begin, losses_of, make_clip, make_learner, make_segmenter

from cvis.learners.combo import half_learning_half_distillation
from cvis.learners.distill import softmax_focal, unbiased_cross_entropy, unbiased_distillation
from cvis.learners.finetune import FineTune
from cvis.segmenters.mask2former.criterion import softmax_cross_entropy


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def draw(num_old=3, num_new=2, spread=3.0):
    width = num_old + num_new + 1
    return (
        spread * torch.randn(2, 5, width, dtype=torch.float64),
        spread * torch.randn(2, 5, num_old + 1, dtype=torch.float64),
        torch.randint(0, width, (2, 5)),
    )


def test_without_old_classes_unbiased_cross_entropy_is_cross_entropy():
    logits, _, columns = draw()
    plain = softmax_cross_entropy(logits, columns, 0.1)
    assert unbiased_cross_entropy(logits, columns, 0.1, num_old=0).item() == pytest.approx(plain.item(), rel=1e-12)
    focal = unbiased_cross_entropy(logits, columns, 0.1, num_old=0, focal=True)
    assert focal.item() == pytest.approx(softmax_focal(logits, columns).item(), rel=1e-12)


def test_unbiased_cross_entropy_of_a_class_target_is_plain_and_of_no_object_is_less():
    logits, _, columns = draw()
    classes = columns.clamp(max=4)
    both = (unbiased_cross_entropy(logits, classes, 0.1, 3), softmax_cross_entropy(logits, classes, 0.1))
    assert both[0].item() == pytest.approx(both[1].item(), rel=1e-12)
    nothing = torch.full_like(columns, 5)
    assert unbiased_cross_entropy(logits, nothing, 0.1, 3) < softmax_cross_entropy(logits, nothing, 0.1)


def test_no_object_is_free_of_charge_where_an_old_class_is_sure():
    """A query that sees an old object unlabelled is not to be taught that it sees nothing."""
    logits = torch.zeros(1, 1, 6, dtype=torch.float64)
    logits[..., 1] = 50.0
    logits.requires_grad_()
    loss = unbiased_cross_entropy(logits, torch.tensor([[5]]), 0.1, num_old=3)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert logits.grad.abs().max() < 1e-12


def test_unbiased_distillation_is_zero_for_equal_models_and_no_new_class():
    _, old, _ = draw()
    student = old.clone().requires_grad_()
    kept = unbiased_distillation(student, old)
    kept.sum().backward()
    assert kept.abs().max() < 1e-14
    assert student.grad.abs().max() < 1e-14


def test_unbiased_distillation_does_not_see_how_no_object_and_new_classes_share():
    logits, old, _ = draw()
    kept = unbiased_distillation(logits, old)
    total = logits[..., 3:].logsumexp(-1, keepdim=True)
    for share in (torch.rand(2, 5, 3, dtype=torch.float64), torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)):
        moved = torch.cat([logits[..., :3], total + (share / share.sum(-1, keepdim=True)).log().expand(2, 5, 3)], -1)
        torch.testing.assert_close(unbiased_distillation(moved, old), kept, rtol=1e-9, atol=1e-12)
    elsewhere = logits.clone()
    elsewhere[..., 0] += 1
    assert (unbiased_distillation(elsewhere, old) - kept).abs().min() > 1e-6


def test_imprinting_starts_distillation_at_zero():
    """New classes take their probability from no-object, so the untouched student is the teacher."""
    clip = make_clip()
    for steps in (2, 3):
        with torch.no_grad():
            imprinted = losses_of(make_learner("mib", steps), clip)["loss_kd"]
            default = losses_of(make_learner("mib", steps, imprint=False), clip)["loss_kd"]
            comformer = losses_of(make_learner("comformer", steps), clip)["loss_kd"]
        assert imprinted.abs() < 1e-5
        assert default > 1e-3
        assert comformer > 1e-3


def test_half_and_half_is_cross_entropy_where_the_old_model_sees_nothing():
    """With weights that are the shares of matched and other queries, it is the plain mean over all."""
    logits, old, columns = draw()
    old[...] = -1e3
    old[..., -1] = 1e3
    matched = (columns < 5).double().mean().item()
    halves = half_learning_half_distillation(logits, columns, 0.1, old, matched, 1 - matched)
    assert 0 < matched < 1
    assert halves.item() == pytest.approx(softmax_cross_entropy(logits, columns, 1.0).item(), rel=1e-12)


def test_half_and_half_teaches_unmatched_queries_that_they_are_not_new():
    logits, old, columns = draw()
    columns[...] = 5
    logits.requires_grad_()
    half_learning_half_distillation(logits, columns, 0.1, old, kd_weight=1.0).backward()
    assert (logits.grad[..., 3:5] > 0).all()  # descent lowers every new class
    expected = logits.detach().softmax(-1)
    q = old.softmax(-1)
    expected[..., :3] -= q[..., :3]
    expected[..., 5] -= q[..., 3]
    torch.testing.assert_close(logits.grad, expected / 10, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("mib", {}),
        ("comformer", {}),
        ("combo", {}),
        ("balconpas", dict(tracks_per_class=2)),
        ("replay", {}),
        ("pseudo", {}),
    ],
)
def test_step_0_is_plain_training_value_for_value(name, keys):
    """There is no teacher yet: nothing is distilled, and nothing is pseudo-labelled."""
    learner = make_learner(name, 1, **keys)
    plain = FineTune(make_segmenter())
    begin(plain, 0)
    clip = make_clip((7, 12))
    for one in (learner, plain):
        one.segmenter.zero_grad()
        one.losses_now = losses_of(one, clip)
        sum(one.losses_now.values()).backward()
    assert learner.losses_now == plain.losses_now
    assert getattr(learner, "teacher", None) is None
    for a, b in zip(learner.segmenter.parameters(), plain.segmenter.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_soft_masks_and_focal_have_a_step_0_of_their_own_but_no_teacher_in_it():
    clip, plain = make_clip((7, 12)), make_learner("comformer", 1)
    assert not plain.own_step0
    expected = losses_of(plain, clip)
    for key, loss in (("soft_masks", "loss_mask"), ("focal", "loss_cls")):
        learner = make_learner("comformer", 1, **{key: True})
        assert learner.own_step0
        losses = losses_of(learner, clip)
        assert losses.keys() == expected.keys()
        assert losses[loss] != expected[loss]
    assert losses["loss_mask"] == expected["loss_mask"]  # of focal


def test_every_part_of_combo_can_be_switched_off():
    """What is left is fine-tuning; the teacher still looks, and nobody listens."""
    off = dict(rank=0, hdhl=False, ikd_weight=0.0, pseudo_labels=False)
    combo, plain = make_learner("combo", 2, **off), make_learner("finetune", 2)
    combo.segmenter.load_state_dict(plain.segmenter.state_dict())
    clip = make_clip()
    assert losses_of(combo, clip) == losses_of(plain, clip)


def test_without_weights_mib_is_fine_tuning():
    mib = make_learner("mib", 2, kd_weight=0.0, unbiased_ce=False, imprint=False)
    plain = make_learner("finetune", 2)
    mib.segmenter.load_state_dict(plain.segmenter.state_dict())
    losses = losses_of(mib, make_clip())
    assert losses.pop("loss_kd") == 0
    assert losses == losses_of(plain, make_clip())
