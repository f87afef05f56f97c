"""A second oracle: the official rule said directly, one loop per "for each", in plain Python. With crowds."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle

from cvis.evaluation import protocol

THRESHOLDS = np.linspace(0.5, 0.95, 10).tolist()
RECALLS = np.linspace(0.0, 1.0, 101).tolist()
LIMITS = [1, 10, 100]


def plain_rule(ground_truth, predictions):
    """Precision [T, R, K, A, M] and recall [T, K, A, M], classes ascending."""
    by_video = {tracks.video_id: tracks for tracks in predictions}
    classes = sorted(c.id for c in ground_truth.categories)
    ranges = protocol.AREAS.tolist()
    precision = np.full((10, 101, len(classes), len(ranges), 3), -1.0)
    recall = np.full((10, len(classes), len(ranges), 3), -1.0)
    for k, c in enumerate(classes):
        pairs = [_video(ground_truth, by_video, v, c) for v in ground_truth.videos]
        for a, area_range in enumerate(ranges):
            for m, limit in enumerate(LIMITS):
                for t, threshold in enumerate(THRESHOLDS):
                    curve = _curve(pairs, area_range, limit, threshold)
                    if curve is not None:
                        precision[t, :, k, a, m], recall[t, k, a, m] = curve
    return precision, recall


def _video(ground_truth, by_video, video, category_id):
    """(ground truth, detections by falling score, IoU of each with each) of one class in one video."""
    targets = [
        {"masks": _decode(t.segmentations), "area": _mean(t.areas), "crowd": t.iscrowd}
        for t in ground_truth.tracks[video.id]
        if t.category_id == category_id
    ]
    tracks, detections = by_video.get(video.id), []
    for n in range(len(tracks) if tracks else 0):
        if tracks.category_ids[n] == category_id:
            masks = _decode(tracks.segmentations[n])
            area = _mean([0 if m is None else int(m.sum()) for m in masks])
            detections.append({"masks": masks, "area": area, "score": tracks.scores[n]})
    detections.sort(key=lambda d: -d["score"])  # stable
    return targets, detections, [[_iou(d["masks"], g["masks"]) for g in targets] for d in detections]


def _iou(one, other):
    intersection = union = 0
    for a, b in zip(one, other, strict=True):
        if a is not None and b is not None:
            intersection += int((a & b).sum())
            union += int((a | b).sum())
        elif a is not None or b is not None:
            union += int((b if a is None else a).sum())
    return intersection / union if union else 0.0


def match_one(targets, detections, ious, area_range, threshold):
    """For each detection: "hit", "miss" or "ignored"."""
    low, high = area_range
    ignored = [g["crowd"] or g["area"] < low or g["area"] > high for g in targets]
    order = sorted(range(len(targets)), key=lambda g: ignored[g])
    taken, outcomes = set(), []
    for d, detection in enumerate(detections):
        best, choice = min(threshold, 1 - 1e-10), None
        for g in order:
            if g in taken and not targets[g]["crowd"]:
                continue
            if choice is not None and not ignored[choice] and ignored[g]:
                break
            if ious[d][g] >= best:
                best, choice = ious[d][g], g
        if choice is not None:
            taken.add(choice)
            outcomes.append("ignored" if ignored[choice] else "hit")
        else:
            outcomes.append("ignored" if detection["area"] < low or detection["area"] > high else "miss")
    return outcomes, ignored.count(False)


def _curve(pairs, area_range, limit, threshold):
    total, ranked = 0, []
    for targets, detections, ious in pairs:
        outcomes, counted = match_one(targets, detections[:100], ious, area_range, threshold)
        total += counted
        ranked += [(d["score"], o) for d, o in zip(detections[:limit], outcomes[:limit], strict=True)]
    if total == 0:
        return None
    ranked.sort(key=lambda pair: -pair[0])
    hits = misses = 0
    points = []
    for _, outcome in ranked:
        hits += outcome == "hit"
        misses += outcome == "miss"
        points.append((hits / total, hits / (hits + misses + np.spacing(1))))
    curve = [max((p for r, p in points if r >= level), default=0.0) for level in RECALLS]
    return curve, points[-1][0] if points else 0.0


def _decode(masks):
    return [None if m is None else rle.decode(m).astype(bool) for m in masks]


def _mean(areas):
    visible = [area for area in areas if area > 0]
    return sum(visible) / len(visible) if visible else 0.0
