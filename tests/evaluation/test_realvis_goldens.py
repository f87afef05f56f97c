"""An oracle of another origin: the IoU of every frame as published with the STM results on DAVIS-2016."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as rle
from realvis import REALVIS, needs_realvis

from cvis.evaluation.overlap import intersections, mask_areas

SEQUENCES = ("car-shadow", "drift-straight", "motocross-jump")

pytestmark = [
    needs_realvis,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools
]


@pytest.fixture(params=SEQUENCES)
def frames(request):
    frames = json.loads((REALVIS / "goldens" / f"davis16_stm_{request.param}.json").read_text())["frames"]
    assert len(frames) >= 10
    return frames


def test_the_published_iou_of_every_frame_is_reproduced_exactly(frames):
    predicted, annotated = [[f["pred"] for f in frames]], [[f["gt"] for f in frames]]
    areas, gt_areas = mask_areas(predicted, len(frames)), mask_areas(annotated, len(frames))
    common = intersections(predicted, annotated, areas, gt_areas)[0, 0]
    ours = common / (areas[0] + gt_areas[0] - common)
    assert ours.tolist() == [f["published_J"] for f in frames]


def test_areas_and_intersections_are_those_of_the_decoded_pixels(frames):
    predicted, annotated = [[f["pred"] for f in frames]], [[f["gt"] for f in frames]]
    areas, gt_areas = mask_areas(predicted, len(frames)), mask_areas(annotated, len(frames))
    pixels, gt_pixels = (np.stack([rle.decode(m) for m in tracks[0]]).astype(bool) for tracks in (predicted, annotated))
    assert areas[0].tolist() == pixels.sum(axis=(1, 2)).tolist()
    assert gt_areas[0].tolist() == gt_pixels.sum(axis=(1, 2)).tolist()
    common = intersections(predicted, annotated, areas, gt_areas)[0, 0]
    assert common.tolist() == (pixels & gt_pixels).sum(axis=(1, 2)).tolist()
