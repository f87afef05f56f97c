"""The official way to compute video AP, step by step, as the thing to be faster than.

The rule of the YouTube-VIS evaluation as every published implementation computes it: pycocotools calls per frame
for areas, boxes, intersections and unions; Python loops over class, area range, video, threshold, detection and
annotation; curves over all of threshold x recall x class x area range x limit. Every evaluation of a subset of
classes starts anew. Written from the rule; nothing is slowed down and nothing is shared that the published
implementations do not share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as rle

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
AREAS = ((0, 1e10), (0, 128**2), (128**2, 256**2), (256**2, 1e10))
LIMITS = (1, 10, 100)

Groups = dict[tuple[int, int], list[dict]]  # (video id, category id) -> tracks


class OfficialRule:
    """The ground truth, indexed once; then results, one evaluation after the other.

    Args:
        content: a parsed annotation file; its masks are compressed in place on first use.
    """

    def __init__(self, content: dict) -> None:
        self.videos = {video["id"]: video for video in content["videos"]}
        self.classes = sorted(category["id"] for category in content["categories"])
        self.annotations = [{"iscrowd": 0, **annotation} for annotation in content["annotations"]]

    def load(self, results: Sequence[dict]) -> list[dict]:
        """Results with the area and the box of every mask."""
        loaded = []
        for n, entry in enumerate(results, start=1):
            masks = entry["segmentations"]
            areas = [rle.area(mask) if mask else None for mask in masks]
            boxes = [rle.toBbox(mask) if mask else None for mask in masks]
            loaded.append({**entry, "id": n, "iscrowd": 0, "areas": areas, "bboxes": boxes})
        return loaded

    def evaluate(self, loaded: Sequence[dict], classes: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Precision [T, R, K, A, M] and recall [T, K, A, M] over ``classes`` (default: all), ascending."""
        classes = self.classes if classes is None else sorted(classes)
        targets, found = self._grouped(self.annotations, classes), self._grouped(loaded, classes)
        videos = sorted(self.videos)
        ious = {(v, c): _ious(found[v, c], targets[v, c]) for v in videos for c in classes}
        matched = [
            [[_match(targets[v, c], found[v, c], ious[v, c], area) for v in videos] for area in AREAS] for c in classes
        ]
        return _accumulate(matched)

    def _grouped(self, tracks: Sequence[dict], classes: Sequence[int]) -> Groups:
        groups: Groups = defaultdict(list)
        wanted = set(classes)
        for track in tracks:
            if track["category_id"] in wanted:
                video = self.videos[track["video_id"]]
                masks = track["segmentations"]
                for frame, mask in enumerate(masks):
                    if mask and isinstance(mask["counts"], list):
                        masks[frame] = rle.frPyObjects(mask, video["height"], video["width"])
                visible = [area for area in track["areas"] if area]
                track["mean_area"] = sum(visible) / len(visible) if visible else 0
                groups[track["video_id"], track["category_id"]].append(track)
        return groups


def _by_score(found: list[dict]) -> list[dict]:
    order = np.argsort([-d["score"] for d in found], kind="mergesort")
    return [found[i] for i in order[: LIMITS[-1]]]


def _ious(found: list[dict], targets: list[dict]) -> np.ndarray:
    best = _by_score(found)
    ious = np.zeros((len(best), len(targets)))
    for i, d in enumerate(best):
        for j, g in enumerate(targets):
            ious[i, j] = _iou(d["segmentations"], g["segmentations"])
    return ious


def _iou(one: list, other: list) -> float:
    intersection = union = 0.0
    for a, b in zip(one, other, strict=True):
        if a and b:
            intersection += rle.area(rle.merge([a, b], True))
            union += rle.area(rle.merge([a, b], False))
        elif a or b:
            union += rle.area(a or b)
    return intersection / union if union > 0 else 0.0


def _match(targets: list[dict], found: list[dict], ious: np.ndarray, area: tuple[float, float]) -> dict | None:
    """One class of one video in one area range."""
    if not targets and not found:
        return None
    low, high = area
    ignored = np.array([bool(g["iscrowd"]) or not low <= g["mean_area"] <= high for g in targets], dtype=bool)
    order = np.argsort(ignored, kind="mergesort")
    ignored = ignored[order]
    crowd = [bool(targets[g]["iscrowd"]) for g in order]
    best = _by_score(found)
    ious = ious[:, order]
    taken = np.zeros((len(THRESHOLDS), len(targets)), dtype=bool)
    matches = np.zeros((len(THRESHOLDS), len(best)), dtype=bool)
    excused = np.zeros((len(THRESHOLDS), len(best)), dtype=bool)
    for t, threshold in enumerate(THRESHOLDS):
        for d in range(len(best)):
            g = _choice(ious[d], threshold, taken[t], ignored, crowd)
            if g >= 0:
                matches[t, d] = taken[t, g] = True
                excused[t, d] = ignored[g]
    outside = np.array([not low <= d["mean_area"] <= high for d in best], dtype=bool)
    excused |= ~matches & outside
    scores = [d["score"] for d in best]
    return {"scores": scores, "matches": matches, "excused": excused, "counted": int((~ignored).sum())}


def _choice(ious: np.ndarray, threshold: float, taken: np.ndarray, ignored: np.ndarray, crowd: list[bool]) -> int:
    """The annotation that a detection takes: the best free one, the last of equals, ignored ones only at need."""
    best, choice = min(threshold, 1 - 1e-10), -1
    for g in range(len(ious)):
        if taken[g] and not crowd[g]:
            continue
        if choice >= 0 and not ignored[choice] and ignored[g]:
            break
        if ious[g] >= best:
            best, choice = ious[g], g
    return choice


def _accumulate(matched: list) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(matched), len(AREAS), len(LIMITS))
    precision = -np.ones((len(THRESHOLDS), len(RECALLS), *shape))
    recall = -np.ones((len(THRESHOLDS), *shape))
    for k, own in enumerate(matched):
        for a, videos in enumerate(own):
            shown = [video for video in videos if video is not None]
            counted = sum(video["counted"] for video in shown)
            for m, limit in enumerate(LIMITS):
                if counted:
                    precision[:, :, k, a, m], recall[:, k, a, m] = _curves(shown, limit, counted)
    return precision, recall


def _curves(videos: list[dict], limit: int, counted: int) -> tuple[np.ndarray, np.ndarray]:
    scores = np.concatenate([video["scores"][:limit] for video in videos])
    order = np.argsort(-scores, kind="mergesort")
    matches = np.concatenate([video["matches"][:, :limit] for video in videos], axis=1)[:, order]
    excused = np.concatenate([video["excused"][:, :limit] for video in videos], axis=1)[:, order]
    hits = np.cumsum(matches & ~excused, axis=1).astype(float)
    misses = np.cumsum(~matches & ~excused, axis=1).astype(float)
    precision, recall = np.zeros((len(THRESHOLDS), len(RECALLS))), np.zeros(len(THRESHOLDS))
    for t, (tp, fp) in enumerate(zip(hits, misses, strict=True)):
        found = tp / counted
        recall[t] = found[-1] if len(tp) else 0
        envelope = (tp / (fp + tp + np.spacing(1))).tolist()
        for i in range(len(envelope) - 1, 0, -1):
            if envelope[i] > envelope[i - 1]:
                envelope[i - 1] = envelope[i]
        for r, i in enumerate(np.searchsorted(found, RECALLS, side="left")):
            if i == len(envelope):
                break
            precision[t, r] = envelope[i]
    return precision, recall


def summary(precision: np.ndarray, recall: np.ndarray) -> list[float | None]:
    """The twelve numbers, x100; ``None`` where no annotation falls in the range."""
    curves = [(precision, a, t) for a, t in ((0, None), (0, 0), (0, 5), (1, None), (2, None), (3, None))]
    numbers = [_mean(curve[..., a, 2] if t is None else curve[t, :, :, a, 2]) for curve, a, t in curves]
    return numbers + [_mean(recall[..., a, m]) for a, m in ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2))]


def _mean(values: np.ndarray) -> float | None:
    defined = values[values > -1]
    return 100 * float(np.mean(defined)) if defined.size else None
