"""CrossVIS as a segmenter: mmdet's CondInst with the same weights, checkpoints by name, videos of any length."""

import re
import weakref

import numpy as np
import pytest
import torch
from mmdet_twin import nowhere
from PIL import Image
from pycocotools import mask as coco_mask
from small_crossvis import SMALL_CROSSVIS, make_crossvis

from cvis.errors import UserError
from cvis.segmenters.crossvis.layers import enlarged
from cvis.segmenters.init import load_state
from cvis.segmenters.openmmlab import MMDET_MODELS, ConfigDict
from cvis.segmenters.registry import build_segmenter
from cvis.types import Clip, Video

DIM, CHANNELS = 32, (8, 16, 32)
RESNET = dict(type="ResNet", depth=18, base_channels=8, norm_eval=True, out_indices=(0, 1, 2))


@pytest.fixture
def crossvis():
    """With biases that make it find objects everywhere."""

    def build(classes=(7, 3, 12), bias=0.0, **keys):
        model = make_crossvis(classes, **keys)
        for parameter in (*model.head.parameters(), *model.mask_branch.parameters()):
            torch.nn.init.normal_(parameter, std=0.15)
        with torch.no_grad():
            model.head.sides.bias.fill_(2.0)
            for head in model.class_heads.steps:
                head.bias.fill_(bias)
        return model.eval()

    return build


def condinst():
    """mmdet's model with random weights, its class head of three classes included."""
    norm, extra = dict(type="BN", requires_grad=True), "on_output"
    model = MMDET_MODELS.build(
        ConfigDict(
            type="CondInst",
            backbone=RESNET,
            neck=dict(
                type="FPN", in_channels=list(CHANNELS), out_channels=DIM, add_extra_convs=extra, num_outs=4,
                relu_before_extra_convs=True,
            ),
            bbox_head=dict(
                type="CondInstBboxHead", num_params=169, num_classes=3, in_channels=DIM, feat_channels=DIM,
                stacked_convs=2, strides=[4, 8, 16, 32], norm_on_bbox=True, centerness_on_reg=True, conv_bias=True,
                regress_ranges=((-1, 32), (32, 64), (64, 128), (128, 1e8)), center_sampling=True,
            ),
            mask_head=dict(
                type="CondInstMaskHead", num_layers=3, feat_channels=8, size_of_interest=8, mask_out_stride=2,
                mask_feature_head=dict(
                    in_channels=DIM, feat_channels=16, start_level=0, end_level=2, out_channels=8, mask_stride=4,
                    num_stacked_convs=2, norm_cfg=norm,
                ),
                loss_mask=dict(type="DiceLoss", use_sigmoid=True, activate=True, eps=5e-6),
            ),
        )
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if not name.startswith("backbone."):
            torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


def test_a_frame_is_condinsts_with_the_same_weights():
    theirs, ours = condinst(), make_crossvis(backbone=RESNET, in_channels=CHANNELS).eval()
    report = load_state(ours, theirs.state_dict(), nowhere())
    assert all(key.startswith(ours.new_weights) for key in report.missing)
    assert report.unexpected == ()
    images = torch.randint(0, 256, (2, 3, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        memory = ours.features(images)
        (output,) = ours.answers(memory)
        maps = theirs.neck(ours.extract(images).levels)
        _, sides, centreness, filters = theirs.bbox_head.train()(maps)
        features = theirs.mask_head.mask_feature_head(maps)
    for found, expected in (
        (output.sides, sides),
        (output.centreness[..., None], centreness),
        (output.filters, filters),
    ):
        flat = torch.cat([level.flatten(2).transpose(1, 2) for level in expected], 1)
        torch.testing.assert_close(found, flat, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.mask_features, features, rtol=1e-4, atol=1e-4)
    rows = torch.tensor([0, 200, 390, 500])
    grid = output.grid
    info = ConfigDict(param_preds=output.filters[4, rows], points=grid.points[rows], strides=grid.stride[rows])
    (expected,) = theirs.mask_head.forward_single(features[4], info)
    found = ours._masks(output, 4, rows)
    torch.testing.assert_close(found, enlarged(expected, 2), rtol=1e-4, atol=1e-4)


def test_mmdets_defect_12_is_not_ours():
    """Mask features of another number of channels than the dynamic head's eight: mmdet cannot take them apart."""
    ours = make_crossvis(mask_branch=dict(width=16, convs=1, channels=5)).eval()
    (output,) = ours.answers(ours.features(torch.zeros(1, 1, 3, 64, 64, dtype=torch.uint8)))
    assert ours._masks(output, 0, torch.tensor([3, 4])).shape == (2, 64, 64)


def adelaidet_name(name):
    """What AdelaiDet calls one of our weights, written down from its modules."""
    plain = (
        (r"pyramid\.laterals\.(\d)", lambda m: f"backbone.fpn_lateral{int(m[1]) + 3}"),
        (r"pyramid\.outputs\.(\d)", lambda m: f"backbone.fpn_output{int(m[1]) + 3}"),
        (r"pyramid\.extras\.(\d)", lambda m: f"backbone.top_block.p{int(m[1]) + 6}"),
        (r"head\.class_tower\.(\d)\.(\d)", lambda m: f"HEAD.cls_tower.{3 * int(m[1]) + int(m[2])}"),
        (r"head\.box_tower\.(\d)\.(\d)", lambda m: f"HEAD.bbox_tower.{3 * int(m[1]) + int(m[2])}"),
        (r"head\.sides", lambda m: "HEAD.bbox_pred"),
        (r"head\.centreness", lambda m: "HEAD.ctrness"),
        (r"head\.controller", lambda m: "controller"),
        (r"mask_branch\.answer", lambda m: "mask_branch.tower.4"),
        (r"backbone\.(conv1|bn1)", lambda m: "backbone.bottom_up.stem.conv1" + (".norm" if m[1] == "bn1" else "")),
        (r"backbone\.layer(\d)", lambda m: f"backbone.bottom_up.res{int(m[1]) + 1}"),
        (r"(?<=\.)bn(\d)", lambda m: f"conv{m[1]}.norm"),
        (r"downsample\.0", lambda m: "shortcut"),
        (r"downsample\.1", lambda m: "shortcut.norm"),
    )
    for pattern, replacement in plain:
        name = re.sub(pattern, replacement, name)
    return name.replace("HEAD", "proposal_generator.fcos_head")


def test_adelaidets_names_are_known_and_its_colours_turned():
    keys = {"head": dict(convs=4), "mask_branch": dict(width=16, convs=4), "backbone": {**RESNET, "depth": 50}}
    keys |= {"in_channels": (32, 64, 128), "extra": 2, "sizes_of_interest": (32, 64, 128, 256, 512)}
    trained = make_crossvis((), **keys)
    state = {
        adelaidet_name(name): value
        for name, value in trained.state_dict().items()
        if not name.startswith(("identities.", "head.identity_tower.", "head.embedding.", "head.scales"))
    }
    state |= {f"proposal_generator.fcos_head.scales.{i}.scale": torch.tensor([i + 0.5]) for i in range(5)}
    state |= {"pixel_mean": torch.zeros(3, 1, 1), "proposal_generator.fcos_head.cls_logits.weight": torch.zeros(80, 1)}
    state |= {"mask_head.sizes_of_interest": torch.zeros(5)}
    torch.manual_seed(1)
    ours = build_segmenter({**SMALL_CROSSVIS, **keys})
    report = load_state(ours, state, nowhere())
    assert (report.unexpected, {key.split(".")[0] for key in report.missing}) == ((), {"head", "identities"})
    assert ours.head.scales.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert torch.equal(ours.backbone.conv1.weight, trained.backbone.conv1.weight.flip(1))
    for name in ("head.box_tower.3.1.weight", "mask_branch.tower.3.1.running_var", "backbone.layer2.0.bn1.weight"):
        assert torch.equal(ours.state_dict()[name], trained.state_dict()[name])


@pytest.fixture
def video(tmp_path):
    def make(length, height=50, width=70):
        rng, paths = np.random.default_rng(0), []
        for index in range(length):
            paths.append(tmp_path / f"{index:05d}.png")
            Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((width, height)).save(paths[-1])
        return Video(4, "v", height, width, tuple(paths))

    return make


def test_windows_of_a_video_are_no_part_of_the_answer(crossvis, video):
    """Frame by frame: as many at a time as memory has room for, and one more frame changes nothing before it."""
    nine = video(9)
    model = crossvis(test=dict(short_side=32, window=9, top_k=1000))
    whole = model.predict(nine)
    model.window = 2
    answers, kept = model.answers, []

    def watched(memory):
        assert sum(answer() is not None for answer in kept) <= 1  # of all windows before only the last one may live
        found = answers(memory)
        kept.append(weakref.ref(found[0]))
        return found

    model.answers = watched
    again = model.predict(nine)
    assert len(kept) == 5
    assert [len(masks) for masks in whole.segmentations] == [9] * len(whole)
    assert whole.category_ids == again.category_ids
    assert whole.scores == pytest.approx(again.scores, abs=1e-5)
    first = model.predict(video(1))
    assert 0 < len(first) <= len(whole)
    shown = [masks[0] for masks in whole.segmentations if masks[0] is not None]
    assert len(shown) == len(first)
    assert coco_mask.decode(shown[0]).shape == (50, 70)


def test_where_nothing_is_found_there_are_no_tracks(crossvis, video, frames, targets):
    model = crossvis(bias=-20.0)
    assert len(model.predict(video(2))) == 0
    clip = Clip(frames, torch.tensor([[32, 48]] * 2), targets, ("a", "b"))
    for tracks in model.clip_tracks(clip):
        assert (tracks.probabilities.shape, tracks.masks.shape) == ((0, 3), (0, 3, 32, 48))


def test_a_gradient_reaches_pyramid_and_backbone_by_a_tenth(crossvis, frames, targets):
    clip = Clip(frames, torch.tensor([[32, 48]] * 2), targets, ("a", "b"))
    norms = []
    for share in (1.0, 0.1):
        model = crossvis(feature_gradient=share)
        torch.manual_seed(0)
        sum(model.losses(clip).values()).backward()
        norms.append([model.pyramid.outputs[0].weight.grad.norm(), model.head.sides.weight.grad.norm()])
    assert norms[1][0].item() == pytest.approx(0.1 * norms[0][0].item(), rel=1e-4)
    assert norms[1][1].item() == pytest.approx(norms[0][1].item(), rel=1e-4)


def test_half_precision_is_for_convolutions_alone(crossvis, frames, targets, video):
    clip = Clip(frames, torch.tensor([[32, 48]] * 2), targets, ("a", "b"))
    model = crossvis()
    torch.manual_seed(0)
    whole = model.losses(clip)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.losses(clip)
        tracks = model.predict(video(2))
    for name, loss in half.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(whole[name].item(), rel=0.05, abs=0.01)
    assert len(set(tracks.scores)) == len(tracks) > 0


def test_wrong_settings_are_one_line():
    for keys, said in (
        (dict(sizes_of_interest=(32, 64)), r"segmenter\.sizes_of_interest: \(32, 64\): the head has 4 levels"),
        (dict(mask_branch=dict(norm="LN")), r"segmenter\.mask_branch\.norm: 'LN'"),
        (dict(num_identities=2), r"segmenter\.num_identities: 2: must be at least 3"),
        (dict(test=dict(sure=3)), r"segmenter\.test\.sure: 3"),
        (dict(test=dict(top_k=0)), r"segmenter\.test\.top_k: 0"),
    ):
        with pytest.raises(UserError, match=said):
            make_crossvis(**keys)
