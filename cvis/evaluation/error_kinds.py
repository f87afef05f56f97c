"""Why a detection is wrong: one kind for every false positive, and the tracks that nothing explains.

Bolya, Foley, Hays, Hoffman, "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
carried over to tracks, with its thresholds: 0.5 (foreground) and 0.1 (background) on the IoU of whole tracks.
What is new with time is identity: a track may be right in every frame it has and still be wrong as a whole.

Words: a detection *lies on* a track in a frame if their IoU in this frame is at least 0.5; its *host* there is
the track with the highest such IoU; *most frames* are more than half of the frames in which it has a mask.
The detections looked at are those of the AP: the 100 best per class and video. Each that finds no track at
IoU 0.5 in its class's ranking gets the first kind that applies:

1. **duplicate**: IoU >= 0.5 with a track of its class; a surer detection has it.
2. **wrong_class**: IoU >= 0.5 with a track of another class.
3. **broken**: it lies on one track of its class in most frames, which are fewer than half of this track's.
4. **switched**: it has hosts in most frames, two or more of them, at least one of its class.
5. **poor_masks**: 0.1 <= IoU < 0.5 with a track of its class, or it lies on one in most frames. This includes
   a track that is right for a part of its frames and drifts off.
6. **both** (class and masks wrong): 0.1 <= IoU < 0.5 with a track of another class, or it has hosts in most
   frames, all of other classes.
7. **background**: none of these.

A track (no crowd) is **missed** if no detection finds it and no detection of a kind with a target
(:data:`CORRECTABLE`) is meant for it. Crowds count as found: there is nothing to win on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvis.data.videoset import VideoSet
from cvis.evaluation.overlap import decode_predicted, frame_overlaps, quotient
from cvis.evaluation.protocol import MAX_DETECTIONS, THRESHOLDS
from cvis.evaluation.targets import targets_of
from cvis.types import Tracks

KINDS = ("wrong_class", "poor_masks", "broken", "switched", "both", "duplicate", "background", "missed")
CORRECTABLE = ("wrong_class", "poor_masks", "broken", "switched")
"""Kinds of detections that mean a track: corrected, they would find it."""
FOREGROUND, BACKGROUND = float(THRESHOLDS[0]), 0.1
"""Track IoUs: from the first on a detection finds a track, below the second it has nothing to do with it."""
RIGHT, IGNORED = "right", "ignored"
NONE = -1  # no target


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
    predicted = decode_predicted(tracks, ground_truth)
    targets = targets_of(ground_truth)
    annotated = targets.masks(ground_truth.by_id[tracks.video_id])
    here = targets.of(tracks.video_id)
    gt_classes, crowd = targets.category[here], targets.crowd[here]
    classes, scores = np.array(tracks.category_ids, dtype=int), np.array(tracks.scores, dtype=np.float64)
    listed = _listed(classes, scores)
    shared, unions = frame_overlaps(predicted, annotated, listed, np.arange(len(gt_classes)))
    ious = quotient(shared.sum(axis=2), unions.sum(axis=2))
    return Overlaps(
        classes=classes[listed],
        scores=scores[listed],
        gt_classes=gt_classes,
        gt_crowd=crowd,
        ious=ious,
        frame_ious=quotient(shared, unions),
        frames=(predicted.areas[listed] > 0).sum(axis=1),
        gt_frames=(annotated.areas > 0).sum(axis=1),
        finds=_match(classes[listed], gt_classes, crowd, ious),
    )


def _listed(classes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices of the detections that AP looks at: of every class the 100 best."""
    best = [np.flatnonzero(classes == c) for c in np.unique(classes)]
    best = [members[np.argsort(-scores[members], kind="stable")][: MAX_DETECTIONS[-1]] for members in best]
    return np.concatenate([np.zeros(0, dtype=int), *best])


def _match(classes: np.ndarray, gt_classes: np.ndarray, crowd: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """The official rule of `cvis.evaluation.match` at IoU 0.5, all areas; which track, not only whether."""
    finds = np.full(len(classes), NONE)
    free = np.ones(len(gt_classes), dtype=bool)
    for d in np.flatnonzero((ious >= FOREGROUND).any(axis=1)):
        reachable = free & (gt_classes == classes[d]) & (ious[d] >= FOREGROUND)
        counted = reachable & ~crowd
        candidates = np.flatnonzero(counted if counted.any() else reachable)
        if candidates.size:
            finds[d] = candidates[::-1][ious[d, candidates[::-1]].argmax()]  # the last of the highest
            free[finds[d]] = crowd[finds[d]]
    return finds


def classify(overlaps: Overlaps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kinds [D] of str, also ``right`` and ``ignored`` (on a crowd); targets [D], -1 for none; missed [G] bool."""
    kinds = np.where(overlaps.finds == NONE, "background", RIGHT).astype(object)
    on_crowd = [g != NONE and overlaps.gt_crowd[g] for g in overlaps.finds]
    kinds[np.array(on_crowd, dtype=bool)] = IGNORED
    targets = np.full(len(kinds), NONE)
    if len(overlaps.gt_classes):
        for d in np.flatnonzero(overlaps.finds == NONE):
            kinds[d], targets[d] = _kind(overlaps, d)
    explained = targets[np.isin(kinds, CORRECTABLE)]
    missed = ~overlaps.found & ~overlaps.gt_crowd & ~np.isin(np.arange(len(overlaps.gt_classes)), explained)
    return kinds, targets, missed


def _kind(overlaps: Overlaps, d: int) -> tuple[str, int]:
    """The first kind that applies to a detection that finds no track, and of the tracks that it can mean the best."""
    same, ious, frames = overlaps.gt_classes == overlaps.classes[d], overlaps.ious[d], overlaps.frames[d]
    lies_on = overlaps.frame_ious[d] >= FOREGROUND  # [G, T]
    on = lies_on.sum(axis=1)  # [G], in how many frames it lies on the track
    hosts = overlaps.frame_ious[d].argmax(axis=0)[lies_on.any(axis=0)]
    hosted = np.bincount(hosts, minlength=len(on))  # [G], in how many frames the track is its host
    mostly_on, mostly_hosted = 2 * on > frames, 2 * len(hosts) > frames
    jumps = mostly_hosted and np.count_nonzero(hosted) >= 2
    rules = (
        ("duplicate", same & (ious >= FOREGROUND), ious),
        ("wrong_class", ~same & (ious >= FOREGROUND), ious),
        ("broken", same & mostly_on & (2 * on < overlaps.gt_frames), on),
        ("switched", same & (hosted > 0) & jumps, hosted),
        ("poor_masks", same & ((ious >= BACKGROUND) | mostly_on), ious),
    )
    for kind, means, values in rules:
        if means.any():
            return kind, int(np.where(means, values, -1.0).argmax())
    return "both" if (ious >= BACKGROUND).any() or mostly_hosted else "background", NONE
