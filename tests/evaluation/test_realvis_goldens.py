"""An oracle of another origin: the IoU of every frame as published with the STM results on DAVIS-2016."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as rle
from realvis import REALVIS, needs_realvis
from scored_sets import track_masks

from cvis.evaluation.overlap import frame_overlaps

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
    predicted, annotated = (track_masks([[f[key] for f in frames]]) for key in ("pred", "gt"))
    common, union = frame_overlaps(predicted, annotated, np.array([0]), np.array([0]))
    assert (common / union)[0, 0].tolist() == [f["published_J"] for f in frames]


def test_areas_and_intersections_are_those_of_the_decoded_pixels(frames):
    tracks = [[f[key] for f in frames] for key in ("pred", "gt")]
    predicted, annotated = (track_masks([masks]) for masks in tracks)
    pixels, gt_pixels = (np.stack([rle.decode(m) for m in masks]).astype(bool) for masks in tracks)
    assert predicted.areas[0].tolist() == pixels.sum(axis=(1, 2)).tolist()
    assert annotated.areas[0].tolist() == gt_pixels.sum(axis=(1, 2)).tolist()
    common, _ = frame_overlaps(predicted, annotated, np.array([0]), np.array([0]))
    assert common[0, 0].tolist() == (pixels & gt_pixels).sum(axis=(1, 2)).tolist()
