"""mmdet's own Mask2Former-VIS and ours with the same weights; needs no pytest, for a check on a GPU uses it too."""

from pathlib import Path

import torch

from cvis.segmenters.init import load_state
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
    """mmdet's model with random weights, and ours with the same."""
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
    report = load_state(ours, theirs.state_dict(), path=nowhere())
    assert all(key.startswith("class_heads.") for key in report.missing)
    assert report.unexpected == ()
    copy_class_head(theirs.track_head, ours)
    return theirs.to(dtype).train(), ours.to(dtype).train()


def copy_class_head(theirs, ours):
    """The one linear layer of mmdet's head, row by row, into our heads of every step and of no-object."""
    heads = [*ours.class_heads.steps, ours.class_heads.no_object]
    rows = [head.out_features for head in heads]
    for name in ("weight", "bias"):
        parts = getattr(theirs.cls_embed, name).data.split(rows)
        for head, part in zip(heads, parts, strict=True):
            getattr(head, name).data.copy_(part)


def nowhere() -> Path:
    return Path("random weights of mmdet")
