"""A CrossVIS that is built in no time."""

import torch

from cvis.segmenters.registry import build_segmenter

SMALL_CROSSVIS = dict(
    type="crossvis",
    backbone=dict(type="ConvBackbone", widths=(8, 16, 32, 64), skip=1),
    in_channels=(16, 32, 64),
    strides=(4, 8, 16),
    dim=32,
    extra=1,
    sizes_of_interest=(32, 64, 128, 256),
    head=dict(convs=2, embedding=16),
    mask_branch=dict(width=16, convs=2),
    num_identities=9,
    test=dict(short_side=32),
    size_divisor=16,
)


def make_crossvis(classes=(7, 3, 12), **keys):
    """With the same weights at every call; keyword arguments replace keys."""
    torch.manual_seed(0)
    segmenter = build_segmenter({**SMALL_CROSSVIS, **keys})
    if classes:
        segmenter.add_classes(classes)
    return segmenter
