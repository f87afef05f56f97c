"""With the same weights, Mask2Former-VIS equals mmdet's, layer by layer."""

import pytest
import torch

from cvis.segmenters.init import load_init, load_state
from cvis.segmenters.openmmlab import MMDET_MODELS, ConfigDict
from cvis.segmenters.registry import build_segmenter

CLASSES, QUERIES, DIM = 5, 6, 64


def head_config(frames: int, channels: list[int]) -> ConfigDict:
    attention = dict(embed_dims=DIM, num_heads=4, batch_first=True)
    feed = dict(embed_dims=DIM, num_fcs=2, ffn_drop=0.0, act_cfg=dict(type="ReLU", inplace=True))
    return ConfigDict(
        type="Mask2FormerTrackHead",
        in_channels=channels,
        strides=[4, 8, 16, 32],
        feat_channels=DIM,
        out_channels=DIM,
        num_classes=CLASSES,
        num_queries=QUERIES,
        num_frames=frames,
        pixel_decoder=dict(
            type="MSDeformAttnPixelDecoder",
            num_outs=3,
            norm_cfg=dict(type="GN", num_groups=32),
            act_cfg=dict(type="ReLU"),
            encoder=dict(
                num_layers=2,
                layer_cfg=dict(
                    self_attn_cfg=dict(attention, num_levels=3, num_points=3, dropout=0.0),
                    ffn_cfg=dict(feed, feedforward_channels=48),
                ),
            ),
            positional_encoding=dict(num_feats=DIM // 2, normalize=True),
        ),
        positional_encoding=dict(type="SinePositionalEncoding3D", num_feats=DIM // 2, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True,
            num_layers=4,
            layer_cfg=dict(
                self_attn_cfg=dict(attention),
                cross_attn_cfg=dict(attention),
                ffn_cfg=dict(feed, feedforward_channels=80),
            ),
        ),
        loss_cls=dict(type="CrossEntropyLoss", class_weight=[1.0] * CLASSES + [0.1]),
    )


RESNET = dict(type="ResNet", depth=18, base_channels=8, norm_eval=True)
CHANNELS = [8, 16, 32, 64]
OURS = dict(
    type="mask2former",
    backbone=RESNET,
    in_channels=CHANNELS,
    dim=DIM,
    num_queries=QUERIES,
    pixel_decoder=dict(layers=2, heads=4, points=3, feedforward=48),
    decoder=dict(layers=4, heads=4, feedforward=80),
)


def theirs_and_ours(frames: int, dtype=torch.float64):
    theirs = MMDET_MODELS.build(
        ConfigDict(
            type="Mask2FormerVideo",
            backbone=RESNET,
            track_head=head_config(frames, CHANNELS),
            data_preprocessor=dict(
                type="mmdet.TrackDataPreprocessor",
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                pad_size_divisor=32,
            ),
        )
    )
    for parameter in theirs.track_head.parameters():  # zeros would hide a wrong wiring
        torch.nn.init.normal_(parameter, std=0.15)
    ours = build_segmenter(OURS)
    ours.add_classes(range(10, 10 + CLASSES - 2))
    ours.add_classes([90, 91])
    report = load_state(ours, theirs.state_dict(), path=_nowhere())
    assert all(key.startswith("class_heads.") for key in report.missing)
    assert report.unexpected == ()
    _copy_class_head(theirs, ours)
    return theirs.to(dtype).train(), ours.to(dtype).train()


def _copy_class_head(theirs, ours):
    """mmdet's one linear head, row by row, into our heads of two steps and of no-object."""
    heads = [*ours.class_heads.steps, ours.class_heads.no_object]
    rows = [head.out_features for head in heads]
    for name in ("weight", "bias"):
        parts = getattr(theirs.track_head.cls_embed, name).data.split(rows)
        for head, part in zip(heads, parts, strict=True):
            getattr(head, name).data.copy_(part)


def _nowhere():
    from pathlib import Path

    return Path("random weights of mmdet")


@pytest.mark.parametrize("frames", [2, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_head(frames, dtype):
    """Class logits and masks of all prediction layers, from the same backbone maps."""
    theirs, ours = theirs_and_ours(frames, dtype)
    batch, sides = 2, [(16, 24), (8, 12), (4, 6), (2, 3)]
    maps = [torch.randn(batch * frames, width, *side, dtype=dtype) for width, side in zip(CHANNELS, sides, strict=True)]
    classes, masks = theirs.track_head(maps, None)
    ours.backbone.forward = lambda images: maps
    pixels = torch.zeros(batch, frames, 3, 64, 96, dtype=torch.uint8)
    outputs = ours.decode(ours.features(pixels))
    assert len(outputs) == len(classes) == 5
    for output, logits, mask in zip(outputs, classes, masks, strict=True):
        torch.testing.assert_close(output.logits, logits, rtol=0, atol=1e-5)
        torch.testing.assert_close(output.masks, mask, rtol=0, atol=1e-5)


def test_whole_model():
    """From uint8 frames of a size that needs padding: preprocessing, backbone and head."""
    theirs, ours = theirs_and_ours(frames=2)
    frames = torch.randint(0, 256, (1, 2, 3, 50, 70), dtype=torch.uint8)
    images = theirs.data_preprocessor.cpu()(dict(inputs=[frames[0]], data_samples=None))["inputs"]
    classes, masks = theirs.track_head(theirs.backbone(images[0].double()), None)
    outputs = ours.decode(ours.features(frames))
    assert outputs[-1].masks.shape == (1, QUERIES, 2, 16, 24)
    torch.testing.assert_close(outputs[-1].logits, classes[-1], rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs[-1].masks, masks[-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["r50", "r101", "swin_t"])
def test_shipped_configs_have_mmdets_architecture(name):
    """Every weight of mmdet's model of that name has its place in ours, with its shape, and no other is left."""
    import mmdet
    from mmengine.config import Config

    from cvis.files import shipped

    configs = f"{mmdet.__path__[0]}/.mim/configs"
    theirs = {
        "r50": "mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py",
        "r101": "mask2former_vis/mask2former_r101_8xb2-8e_youtubevis2019.py",
        "swin_t": "mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py",
    }[name]
    model = Config.fromfile(f"{configs}/{theirs}").model
    model.init_cfg = model.backbone.init_cfg = model.data_preprocessor = None
    state = MMDET_MODELS.build(model).state_dict()
    own = Config.fromfile(shipped("configs") / "segmenters" / f"mask2former_{name}.py")
    report = load_state(build_segmenter(own.segmenter), state, _nowhere())
    assert all(key.startswith("class_heads.") for key in report.missing)
    assert report.unexpected == ()


def test_checkpoint_files(tmp_path):
    """Video and image checkpoints of mmdet, new and old names; the file's sha256 is in the report."""
    theirs, ours = theirs_and_ours(2, torch.float32)
    state = theirs.state_dict()
    old = {
        key.replace("track_head", "panoptic_head")
        .replace("decoder.layers.0.cross_attn", "decoder.layers.0.attentions.0")
        .replace("ffn", "ffns.0"): value
        for key, value in state.items()
    }
    for number, content in enumerate([state, old]):
        path = tmp_path / f"{number}.pth"
        torch.save({"state_dict": content, "meta": {"epoch": 1}}, path)
        fresh = build_segmenter(OURS)
        fresh.add_classes(range(CLASSES))
        report = load_init(fresh, path)
        assert all(key.startswith("class_heads.") for key in report.missing)
        assert report.unexpected == ()
        assert len(report.sha256) == 64
        torch.testing.assert_close(fresh.groups[0].queries, ours.groups[0].queries)
