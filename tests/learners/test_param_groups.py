"""What the optimiser is given: everything trainable, once, with the right factors."""

from mmengine.config import Config

from cvis.engine.config import Schedule
from cvis.engine.optim import build_optimizer
from cvis.files import shipped
from cvis.learners.finetune import FineTune
from cvis.segmenters import build_segmenter


def make_learner(name: str = "mask2former_tiny") -> FineTune:
    config = Config.fromfile(shipped("configs") / "segmenters" / f"{name}.py").to_dict()["segmenter"]
    learner = FineTune(build_segmenter(config))
    learner.segmenter.add_classes([3, 5])
    return learner


def decayed_names(learner: FineTune) -> tuple[set[str], set[str]]:
    """Names of the parameters with and without weight decay."""
    names = {id(parameter): name for name, parameter in learner.named_parameters()}
    groups = learner.param_groups()
    with_decay = {names[id(p)] for group in groups if group["decay_mult"] == 1 for p in group["params"]}
    without = {names[id(p)] for group in groups if group["decay_mult"] == 0 for p in group["params"]}
    return with_decay, without


def test_every_parameter_is_there_once():
    learner = make_learner()
    given = [id(p) for group in learner.param_groups() for p in group["params"]]
    assert sorted(given) == sorted(id(p) for p in learner.parameters())


def test_norms_and_embeddings_are_not_decayed_and_all_else_is():
    learner = make_learner()
    learner.segmenter.add_query_group(4, step=1)
    with_decay, without = decayed_names(learner)
    for name in ("groups.0.queries", "groups.0.positions", "groups.1.queries", "groups.1.positions"):
        assert f"segmenter.{name}" in without
    assert "segmenter.decoder.level_embed" in without
    assert "segmenter.pixel_decoder.level_encoding.weight" in without
    assert "segmenter.decoder.post_norm.weight" in without
    assert "segmenter.backbone.stages.0.1.weight" in without  # GroupNorm
    for name in ("backbone.stages.0.0.weight", "class_heads.no_object.weight", "groups.0.mask_head.0.weight"):
        assert f"segmenter.{name}" in with_decay


def test_swin_embeddings_are_not_decayed():
    _, without = decayed_names(make_learner("mask2former_swin_t"))
    assert any(name.endswith("relative_position_bias_table") for name in without)


def test_a_frozen_backbone_is_not_given():
    learner = make_learner()
    learner.segmenter.freeze_backbone()
    assert not any(group["backbone"] for group in learner.param_groups())


def test_the_backbone_learns_at_its_own_rate():
    learner = make_learner()
    schedule = Schedule(weight_decay=0.05, backbone_lr_mult=0.1)
    optimizer = build_optimizer(learner.param_groups(), schedule.base, schedule)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    own = dict(learner.named_parameters())
    assert rates[id(own["segmenter.backbone.stages.0.0.weight"])] == 1e-5
    assert rates[id(own["segmenter.groups.0.queries"])] == 1e-4
    assert decays[id(own["segmenter.groups.0.queries"])] == 0
    assert decays[id(own["segmenter.class_heads.no_object.weight"])] == 0.05
