"""Learners on models whose slots are pixels: what they compare, what they teach, and what they refuse in one line."""

import pytest
import slot_toys
import torch
from two_models import disturb, losses_of, make_clip, make_learner

from cvis.errors import UserError
from cvis.learners.registry import build_learner
from cvis.segmenters.contract import ClassSlots

TOYS = {"column": slot_toys.ColumnToy, "sigmoid": slot_toys.SigmoidToy}


@pytest.mark.parametrize("kind", TOYS)
@pytest.mark.parametrize("name", ["mib", "comformer", "balconpas", "balconpas-memory"])
def test_a_step_begins_at_the_teacher_and_is_held_there(name, kind):
    keys = {} if name == "mib" else {"min_overlap": 0.0}
    learner = make_learner(name, segmenter=TOYS[kind](width=4), **keys)
    teacher = learner.teacher.segmenter
    for model in (learner.segmenter, teacher):  # old objects are seen
        model.class_heads.steps[0].bias.data += 6
    clip = make_clip((7, 40) if name == "balconpas-memory" else (40, 41))
    kept = "loss_feature" if name.startswith("balconpas") else "loss_kd"
    losses = losses_of(learner, clip)
    assert losses.keys() == {"loss_cls", kept}
    if (name, kind) != ("comformer", "column"):  # its new classes take their share of all others at once
        assert losses[kept].item() == pytest.approx(0, abs=1e-5)
    disturb(learner, 5)
    after = losses_of(learner, clip)
    assert after[kept] > 1e-4
    sum(after.values()).backward()
    assert [n for n, p in learner.named_parameters() if p.requires_grad and p.grad is None] == []
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    own = f"{name.removesuffix('-memory')} (variant)"
    if name == "mib" and kind == "column":  # its pixels are what it was made for
        own = None
    assert learner.label == ("CoMFormer (variant)" if name == "comformer" else own)


def test_pseudo_labels_are_taught_and_what_is_matched_is_what_is_taught():
    learner = make_learner("balconpas", segmenter=slot_toys.SigmoidToy(width=4), min_overlap=0.0)
    learner.teacher.segmenter.class_heads.steps[0].bias.data += 6
    taught = []

    def criterion(outputs, targets, *rest, original=learner.segmenter.criterion):
        taught.append(targets)
        return original(outputs, targets, *rest)

    learner.segmenter.criterion = criterion
    clip = make_clip()
    losses_of(learner, clip)
    old = learner.teacher.segmenter.classes
    assert all(set(target.category_ids.tolist()) & set(old) for target in taught[0])
    model = slot_toys.ColumnToy(width=4)
    model.add_classes((7, 40, 41))
    answer = model.answers(model.features(clip.frames))[-1]
    for ids in ([40], [40, 41], [7]):
        wanted = torch.zeros(2, 2, 32, 48, dtype=torch.bool)
        for category, mask in zip((40, 41), clip.targets[0].masks, strict=True):
            wanted[0] |= mask & (category in ids)
        assert torch.equal(model.matched_to(answer, clip.targets, ids), wanted[..., ::2, ::2].flatten(1))


@pytest.mark.parametrize(
    ("toy", "learner", "says"),
    [
        (
            "Column",
            dict(type="mib", mask_kd_weight=1.0),
            "learner.mask_kd_weight: 1.0: ColumnToy has no queries with masks",
        ),
        ("Column", dict(type="comformer", soft_masks=True), "learner.soft_masks: True: ColumnToy has no queries that"),
        ("Sigmoid", dict(type="comformer", focal=True), "learner.focal: True: is of softmaxes; the sigmoids of"),
        ("Sigmoid", dict(type="combo"), "learner 'combo' needs aligned_queries of the segmenter, which"),
        ("Column", dict(type="eclipse"), "learner 'eclipse' needs query_groups of the segmenter, which"),
    ],
)
def test_what_is_not_defined_is_refused_in_one_line(toy, learner, says):
    with pytest.raises(UserError) as caught:
        build_learner(learner, TOYS[toy.lower()]())
    assert str(caught.value).startswith(says)
    assert f"{toy}Toy" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("learner", ["mib", "comformer", "balconpas"])
def test_an_ability_that_is_switched_off_is_refused_with_the_key(learner):
    model = slot_toys.ColumnToy()
    model.switched_off = {ClassSlots: "segmenter.background_channel=true"}
    message = (
        f"learner '{learner}' needs class_slots of the segmenter, which is off; set segmenter.background_channel=true"
    )
    with pytest.raises(UserError) as caught:
        build_learner({"type": learner}, model)
    assert str(caught.value) == message
    assert build_learner({"type": "pseudo"}, model).segmenter is model
