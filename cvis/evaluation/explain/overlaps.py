"""How the detections of one video lie on its annotated tracks, over whole tracks and frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvis.data.videoset import VideoSet
from cvis.evaluation.check import check_masks, check_tracks
from cvis.evaluation.overlap import intersections, mask_areas
from cvis.evaluation.protocol import MAX_DETECTIONS, THRESHOLDS
from cvis.types import Tracks

FOREGROUND = float(THRESHOLDS[0])
"""Track IoU of 0.5: from here on a detection finds a track."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """D detections of one video, of every class the 100 best, against its G annotated tracks of every class.

    Detections are ordered by class, then by falling score (equal ones as they came).
    """

    classes: np.ndarray  # [D], data-set ids
    scores: np.ndarray  # [D]
    gt_classes: np.ndarray  # [G]
    gt_crowd: np.ndarray  # [G] bool
    ious: np.ndarray  # [D, G], over the whole tracks
    frame_ious: np.ndarray  # [D, G, T], 0 where either is absent
    frames: np.ndarray  # [D], frames in which the detection has a mask
    gt_frames: np.ndarray  # [G]
    finds: np.ndarray  # [D], the track it is matched with at IoU 0.5 in its class's ranking; -1: none

    @property
    def found(self) -> np.ndarray:
        """Which tracks are matched at IoU 0.5 by a detection of their class: bool [G]."""
        return np.isin(np.arange(len(self.gt_classes)), self.finds)


def compare(ground_truth: VideoSet, tracks: Tracks) -> Overlaps:
    """Compare all predictions of one video with its annotations, those of all classes.

    Raises:
        UserError: an unknown video, or a malformed track; names the video, track and field.
    """
    known = {category.id for category in ground_truth.categories}
    video = check_tracks(tracks, ground_truth, known, ())
    annotated = ground_truth.tracks[video.id]
    for track in annotated:
        check_masks(f"video {video.id}: ground-truth track {track.id}", video, track.segmentations)
    classes, scores = np.array(tracks.category_ids, dtype=int), np.array(tracks.scores, dtype=np.float64)
    listed = _lists(classes, scores)
    detections = [tracks.segmentations[n] for n in listed]
    targets = [t.segmentations for t in annotated]
    areas, gt_areas = mask_areas(detections, len(video)), mask_areas(targets, len(video))
    shared = intersections(detections, targets, areas, gt_areas)
    gt_classes = np.array([t.category_id for t in annotated], dtype=int)
    crowd = np.array([t.iscrowd for t in annotated], dtype=bool)
    total = shared.sum(axis=2)
    ious = _quotient(total, areas.sum(axis=1)[:, None] + gt_areas.sum(axis=1) - total)
    return Overlaps(
        classes=classes[listed],
        scores=scores[listed],
        gt_classes=gt_classes,
        gt_crowd=crowd,
        ious=ious,
        frame_ious=_quotient(shared, areas[:, None] + gt_areas - shared),
        frames=(areas > 0).sum(axis=1),
        gt_frames=(gt_areas > 0).sum(axis=1),
        finds=_match(classes[listed], gt_classes, crowd, ious),
    )


def _lists(classes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices of the detections that AP looks at: of every class the 100 best."""
    best = [np.flatnonzero(classes == c) for c in np.unique(classes)]
    best = [members[np.argsort(-scores[members], kind="stable")][: MAX_DETECTIONS[-1]] for members in best]
    return np.concatenate([np.zeros(0, dtype=int), *best])


def _quotient(shared: np.ndarray, union: np.ndarray) -> np.ndarray:
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def _match(classes: np.ndarray, gt_classes: np.ndarray, crowd: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """The official rule of :func:`cvis.evaluation.match.match` at IoU 0.5, all areas; which track, not only whether."""
    finds = np.full(len(classes), -1)
    free = np.ones(len(gt_classes), dtype=bool)
    for d in np.flatnonzero((ious >= FOREGROUND).any(axis=1)):
        reachable = free & (gt_classes == classes[d]) & (ious[d] >= FOREGROUND)
        counted = reachable & ~crowd
        candidates = np.flatnonzero(counted if counted.any() else reachable)
        if candidates.size:
            finds[d] = candidates[::-1][ious[d, candidates[::-1]].argmax()]  # the last of the highest
            free[finds[d]] = crowd[finds[d]]
    return finds
