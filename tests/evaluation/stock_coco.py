"""An independent oracle: the stock image evaluator of pycocotools on videos joined in time.

Side by side, the T frames of a track are one mask of H x (W T) pixels, whose IoU is the track IoU. Joining
happens in decoded pixels, so that no zero-length runs arise. Without crowds, whose IoU differs.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvis.evaluation import protocol
from cvis.evaluation.protocol import METRICS


def stock_coco(ground_truth, predictions, classes=None, videos=None) -> COCOeval:
    """Run COCOeval, over some classes and videos if so told.

    ``.eval["precision"]`` is [T, R, K, A, M], ``.stats`` the twelve numbers (-1: undefined).
    """
    annotations, detections = [], []
    for video in ground_truth.videos:
        for track in ground_truth.tracks[video.id]:
            assert not track.iscrowd
            fields = _annotation(video, track.category_id, track.segmentations, track.areas)
            annotations.append({**fields, "iscrowd": 0})
    for tracks in predictions:
        video = ground_truth.by_id[tracks.video_id]
        for n in range(len(tracks)):
            masks = tracks.segmentations[n]
            areas = [0.0 if m is None else float(rle.decode(m).sum()) for m in masks]
            fields = _annotation(video, tracks.category_ids[n], masks, areas)
            detections.append({**fields, "score": tracks.scores[n]})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(ground_truth, annotations), _coco(ground_truth, detections), "segm")
        evaluation.params.areaRng = protocol.AREAS.tolist()
        if classes is not None:
            evaluation.params.catIds = sorted(classes)
        if videos is not None:
            evaluation.params.imgIds = sorted(videos)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def twelve(evaluation: COCOeval) -> dict[str, float | None]:
    """``stats`` under our names, x100."""
    values = (None if value < 0 else 100 * float(value) for value in evaluation.stats)
    return dict(zip(METRICS, values, strict=True))


def _annotation(video, category_id, masks, areas):
    shape = (video.height, video.width)
    frames = [np.zeros(shape, np.uint8) if m is None else rle.decode(m) for m in masks]
    visible = [area for area in areas if area > 0]
    return {
        "image_id": video.id,
        "category_id": category_id,
        "segmentation": rle.encode(np.asfortranarray(np.hstack(frames))),
        "area": sum(visible) / len(visible) if visible else 0.0,
    }


def _coco(ground_truth, annotations):
    coco = COCO()
    coco.dataset = {
        "images": [{"id": v.id, "height": v.height, "width": v.width * len(v)} for v in ground_truth.videos],
        "categories": [{"id": c.id, "name": c.name} for c in ground_truth.categories],
        "annotations": [{"id": i, **a} for i, a in enumerate(annotations, start=1)],
    }
    coco.createIndex()
    return coco
