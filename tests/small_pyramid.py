"""A space-time pyramid that is built in no time."""

import torch

from cvis.segmenters.registry import build_segmenter

SMALL_PYRAMID = dict(
    type="st_pyramid",
    backbone=dict(type="ConvBackbone", widths=(8, 16, 16)),
    in_channels=(8, 16, 16),
    dim=8,
    pyramid=dict(widths=(16, 8, 8), squeezes=(2, 1, 0), norm="GN", reduction=4),
    num_frames=4,
    coordinate_unit=24.0,
    output_stride=2,
    background_channel=True,
    clustering=dict(min_heat=0.0),
    test=dict(short_side=32),
    size_divisor=8,
)


def make_pyramid(classes=(7, 3, 12), **keys):
    """With the same weights at every call; keyword arguments replace keys."""
    torch.manual_seed(0)
    segmenter = build_segmenter({**SMALL_PYRAMID, **keys})
    if classes:
        segmenter.add_classes(classes)
    return segmenter
