"""A segmenter small enough to build in every test."""

import pytest
import torch

from cvis.segmenters.registry import build_segmenter
from cvis.types import Targets

SMALL = dict(
    type="mask2former",
    backbone=dict(type="ConvBackbone", widths=(8, 16, 24, 32)),
    in_channels=(8, 16, 24, 32),
    strides=(2, 4, 8, 16),
    dim=32,
    num_queries=5,
    pixel_decoder=dict(layers=1, heads=4, points=2, feedforward=32),
    decoder=dict(layers=3, heads=4, feedforward=32),
    criterion=dict(num_points=64),
    test=dict(short_side=32),
    size_divisor=16,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def small():
    """Builds the small segmenter with three classes; keyword arguments replace keys."""

    def build(classes=(7, 3, 12), **keys):
        torch.manual_seed(0)
        segmenter = build_segmenter({**SMALL, **keys})
        if classes:
            segmenter.add_classes(classes)
        return segmenter

    return build


@pytest.fixture
def frames():
    return torch.randint(0, 256, (2, 3, 3, 32, 48), dtype=torch.uint8)


@pytest.fixture
def targets():
    """Two clips of three 32 x 48 frames: two tracks, and one."""
    masks = torch.zeros(3, 3, 32, 48, dtype=torch.bool)
    masks[0, :, 4:20, 6:30] = True
    masks[1, 1:, 16:30, 20:44] = True  # absent in the first frame
    masks[2, :, 2:12, 2:12] = True
    return (Targets(torch.tensor([3, 12]), masks[:2]), Targets(torch.tensor([7]), masks[2:]))
