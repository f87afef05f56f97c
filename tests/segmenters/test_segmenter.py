"""The contract: clips of any shape, growing classes, independent groups, frozen backbone, replayed state."""

import copy

import pytest
import torch
from PIL import Image

from cvis.errors import UserError
from cvis.segmenters.outputs import Residual
from cvis.segmenters.registry import build_segmenter
from cvis.types import Video


@pytest.mark.parametrize("shape", [(1, 1, 32, 48), (2, 3, 32, 48), (1, 4, 30, 41)])
def test_any_batch_length_and_size(small, shape):
    batch, length, height, width = shape
    segmenter = small()
    outputs = segmenter.decode(segmenter.features(torch.zeros(batch, length, 3, height, width, dtype=torch.uint8)))
    assert len(outputs) == 4
    for output in outputs:
        assert output.logits.shape == (batch, 5, 4)
        assert output.masks.shape == (batch, 5, length, 16, 24)
        assert output.queries.shape == (batch, 5, 32)


def test_masks_follow_the_finest_level_and_the_memory_format_changes_nothing(small, frames):
    coarse = dict(
        backbone=dict(type="ConvBackbone", widths=(8, 16, 24, 32), skip=1),
        in_channels=(16, 24, 32),
        strides=(4, 8, 16),
        pixel_decoder=dict(encoder_levels=2, layers=1, heads=4, feedforward=32, separable=True, norm_groups=8),
    )
    plain, last = (small(**coarse, channels_last=choice) for choice in (False, True))
    last.load_state_dict(plain.state_dict())
    masks = [one.decode(one.features(frames))[-1].masks for one in (plain, last)]
    assert masks[0].shape == (2, 5, 3, 8, 12)
    torch.testing.assert_close(masks[0], masks[1], rtol=0, atol=1e-5)


def test_normalisation_pads_with_zeros_after_it(small):
    segmenter = small()
    frames = torch.full((2, 1, 3, 20, 30), 200, dtype=torch.uint8)
    images = segmenter.normalise(frames, torch.tensor([[20, 30], [12, 17]]))
    assert images.shape == (2, 1, 3, 32, 32)
    assert (images[0, :, :, :20, :30] != 0).all()
    assert images[0, :, :, 20:].abs().sum() == images[0, :, :, :, 30:].abs().sum() == 0
    assert (images[1, :, :, :12, :17] != 0).all()
    assert images[1, :, :, 12:].abs().sum() == images[1, :, :, :, 17:].abs().sum() == 0
    expected = (200 - torch.tensor([123.675, 116.28, 103.53])) / torch.tensor([58.395, 57.12, 57.375])
    torch.testing.assert_close(images[0, 0, :, 3, 4], expected)


def test_prediction_layers(small, frames):
    segmenter = small().eval()
    memory = segmenter.features(frames)
    every, ends, last = (segmenter.decode(memory, 0, name) for name in ("all", "first_last", "last"))
    assert [len(every), len(ends), len(last)] == [4, 2, 1]
    torch.testing.assert_close(ends[0].logits, every[0].logits)
    torch.testing.assert_close(ends[1].masks, every[-1].masks)
    torch.testing.assert_close(last[0].masks, every[-1].masks)
    with pytest.raises(UserError, match="middle"):
        segmenter.decode(memory, 0, "middle")


def test_groups_do_not_touch_one_another(small, frames):
    """Bit for bit: a group computes the same before and after another is added, and after that one learned."""
    segmenter = small()
    memory = segmenter.features(frames)
    before = segmenter.decode(memory)
    added = segmenter.add_query_group(3, step=1)
    segmenter.add_classes([40, 41])
    with torch.no_grad():
        for parameter in [*added.parameters(), *segmenter.class_heads.steps[1].parameters()]:
            parameter.add_(torch.randn_like(parameter))
    for old, new in zip(before, segmenter.decode(memory), strict=True):
        assert torch.equal(old.masks, new.masks)
        assert torch.equal(old.queries, new.queries)
        assert torch.equal(old.logits[..., :3], new.logits[..., :3])
        assert torch.equal(old.logits[..., 3], new.logits[..., 5])  # no-object stays the last column
    first = segmenter.decode(memory, group=1)
    with torch.no_grad():
        segmenter.groups[0].queries.add_(1)
    assert all(torch.equal(a.masks, b.masks) for a, b in zip(first, segmenter.decode(memory, group=1), strict=True))
    assert first[0].masks.shape[1] == 3
    assert added.positions.shape == (3, 3, 32)
    assert added.step == 1


def test_group_without_mask_head_uses_the_base_groups(small, frames):
    segmenter = small()
    group = segmenter.add_query_group(5, step=1, own_mask_head=False)
    with torch.no_grad():
        group.queries.copy_(segmenter.groups[0].queries)
        group.positions.copy_(segmenter.groups[0].positions.expand_as(group.positions))
    memory = segmenter.features(frames)
    for base, same in zip(segmenter.decode(memory), segmenter.decode(memory, group=1), strict=True):
        assert torch.equal(base.masks, same.masks)


def test_a_residual_enters_the_value_of_self_attention(small, frames):
    segmenter = small()
    memory = segmenter.features(frames)
    plain = segmenter.decode_queries(memory)
    same = segmenter.decode_queries(memory, residual=Residual(torch.zeros(5, 32)))
    assert torch.equal(plain[-1].mask_embeddings, same[-1].mask_embeddings)
    prompted = segmenter.decode_queries(memory, residual=Residual(torch.randn(5, 32)))
    assert torch.equal(plain[0].mask_embeddings, prompted[0].mask_embeddings)
    assert not torch.allclose(plain[1].mask_embeddings, prompted[1].mask_embeddings)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_background_init_keeps_old_probabilities(small, frames, kind):
    """MiB: the new classes and no-object share no-object's probability evenly; nothing else moves."""
    segmenter = small(class_head=kind)
    memory = segmenter.features(frames)
    before = segmenter.decode(memory)[-1].logits.softmax(-1)
    segmenter.add_classes([40, 41], init="background")
    after = segmenter.decode(memory)[-1].logits.softmax(-1)
    torch.testing.assert_close(after[..., :3], before[..., :3])
    torch.testing.assert_close(after[..., 3:], (before[..., 3:] / 3).expand(-1, -1, 3))


def test_classes_are_added_once(small):
    segmenter = small()
    for bad in ([3], [50, 50], []):
        with pytest.raises(UserError, match="add_classes"):
            segmenter.add_classes(bad)
    with pytest.raises(UserError, match="imprint"):
        segmenter.add_classes([60], init="imprint")
    assert segmenter.classes == [7, 3, 12]
    assert len(segmenter.class_heads.steps) == 1


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_state_is_replay_and_strict_load(small, frames, kind):
    def grow(segmenter, init):
        segmenter.add_classes([40, 41], init=init)
        segmenter.add_query_group(2, step=1)
        return segmenter

    trained, fresh = grow(small(class_head=kind), "background"), grow(small(class_head=kind), "default")
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    fresh.load_state_dict(trained.state_dict(), strict=True)
    for group in (0, 1):
        ours, theirs = (one.decode(one.features(frames), group)[-1] for one in (trained, fresh))
        assert torch.equal(ours.logits, theirs.logits)
        assert torch.equal(ours.masks, theirs.masks)


def test_frozen_backbone(small, frames, targets):
    segmenter = small(
        backbone=dict(type="ResNet", depth=18, base_channels=8), in_channels=(8, 16, 32, 64), strides=(4, 8, 16, 32)
    )
    segmenter.freeze_backbone()
    segmenter.train()
    assert not any(module.training for module in segmenter.backbone.modules())
    assert segmenter.pixel_decoder.training
    state = copy.deepcopy(segmenter.backbone.state_dict())
    sum(segmenter.criterion(segmenter.decode(segmenter.features(frames)), targets).values()).backward()
    assert all(parameter.grad is None for parameter in segmenter.backbone.parameters())
    assert all(
        parameter.grad is not None
        for name, parameter in segmenter.named_parameters()
        if not name.startswith("backbone.")
    )
    assert all(torch.equal(value, state[key]) for key, value in segmenter.backbone.state_dict().items())


def test_mixed_precision(small, frames, targets):
    """Under bfloat16 autocast the losses are single precision, near those without, and have gradients."""
    segmenter = small()
    losses = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            losses.append(segmenter.criterion(segmenter.decode(segmenter.features(frames)), targets))
    for name, value in losses[1].items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(losses[0][name].item(), rel=0.2)
    sum(losses[1].values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in segmenter.parameters())


def test_mixed_precision_scores(small, frames, tmp_path):
    """bfloat16 features cost a few thousandths; bfloat16 logits, which tie scores and shuffle AP, are not made."""
    paths = []
    for index, frame in enumerate(frames[0].permute(0, 2, 3, 1).numpy()):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(frame).save(paths[-1])
    video = Video(4, "v", 32, 48, tuple(paths))
    segmenter = small(test=dict(short_side=32, top_k=15)).eval()
    exact = segmenter.predict(video).scores
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = segmenter.predict(video).scores
        output = segmenter.decode(segmenter.features(frames))[-1]
    assert rounded == pytest.approx(exact, abs=3e-3)
    assert rounded != exact  # autocast was on
    assert len(set(rounded)) == len(rounded) == 15
    torch.testing.assert_close(output.logits, segmenter.class_heads(output.queries.float()), rtol=0, atol=1e-6)


def test_training_after_predicting(small, frames, targets):
    """Constants made under inference mode must not poison a later backward pass."""
    segmenter = small()
    with torch.inference_mode():
        segmenter.decode(segmenter.features(frames))
    sum(segmenter.criterion(segmenter.decode(segmenter.features(frames)), targets).values()).backward()


def test_same_seed_same_numbers(small, frames, targets):
    def once():
        segmenter = small()
        losses = segmenter.criterion(segmenter.decode(segmenter.features(frames)), targets)
        sum(losses.values()).backward()
        return [parameter.grad for parameter in segmenter.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(once(), once(), strict=True))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (dict(type="mask3former"), "mask3former.*mask2former"),
        (dict(type="mask2former"), "backbone"),
        (dict(type="mask2former", backbone=dict(type="ConvBackbone"), colour=3), "colour"),
        (dict(type="mask2former", backbone=dict(type="NoSuchNet")), "NoSuchNet"),
        (dict(type="mask2former", backbone=dict(type="ConvBackbone", depht=1)), "depht"),
        (
            dict(type="mask2former", backbone=dict(type="ConvBackbone"), decoder=dict(layer=3)),
            "segmenter.decoder.*layer",
        ),
        (dict(type="mask2former", backbone=dict(type="ConvBackbone"), class_head="deep"), "class_head.*deep"),
    ],
)
def test_wrong_configs_are_named(config, words):
    with pytest.raises(UserError, match=words) as caught:
        build_segmenter(config)
    assert "\n" not in str(caught.value)
