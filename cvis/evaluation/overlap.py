"""Areas and IoUs of tracks, frame by frame in run-length code.

The IoU of two tracks is the quotient of two integers, the intersections and the unions summed over all
frames, divided in float64: what the official evaluator computes, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pycocotools import mask as rle

from cvis.data.track_masks import TrackMasks
from cvis.data.videoset import VideoSet
from cvis.evaluation.check import check_runs, check_tracks
from cvis.evaluation.match import Pairs
from cvis.evaluation.protocol import THRESHOLDS
from cvis.types import RLE, Tracks, Video


def decode(video: Video, tracks: Sequence[Sequence[RLE | None]], where: Callable[[int], str]) -> TrackMasks:
    """N tracks of a video, of one mask per frame each.

    Args:
        where: begins the message about a track, given its index.

    Raises:
        UserError: the runs of a mask do not fill its frame.
    """
    counts = [m and m["counts"] for masks in tracks for m in masks]
    decoded = TrackMasks.of(counts, len(video), video.height, video.width)
    if not decoded.sound.all():
        damaged = int(np.argwhere(~decoded.sound)[0, 0])
        check_runs(where(damaged), video, tracks[damaged])
    return decoded


def decode_predicted(tracks: Tracks, ground_truth: VideoSet, where: Callable[[int], str] | None = None) -> TrackMasks:
    """The masks of predicted tracks, which are checked.

    Args:
        where: begins the message about a track, given its index; default: the video and the index.

    Raises:
        UserError: an unknown video, or a malformed track (:func:`cvis.evaluation.check.check_tracks`).
    """
    where = where or f"video {tracks.video_id}: track {{}}".format
    return decode(check_tracks(tracks, ground_truth, where), tracks.segmentations, where)


class BitMasks:
    """Tracks as bitmaps, as a model makes them: encoding them would cost more than the evaluation.

    Args:
        masks: N tracks of T frames, bool or uint8 [N, T, H, W]; every value but 0 is foreground.
    """

    def __init__(self, masks: np.ndarray) -> None:
        self._masks = masks
        areas = [np.count_nonzero(m) for track in masks for m in track]
        self.areas = np.array(areas, dtype=np.float64).reshape(masks.shape[:2])
        """Pixels of every mask, float64 [N, T]."""

    def intersect(self, ground_truth: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
        """See :meth:`TrackMasks.intersect`."""
        shared = np.zeros((len(detections), self.areas.shape[1]), np.int64)
        for track in np.unique(tracks):
            pairs = np.flatnonzero(tracks == track)
            for frame in np.flatnonzero(ground_truth.areas[track]):
                target = rle.decode(ground_truth.rle(track, frame)).astype(bool)
                rows, columns = np.flatnonzero(target.any(axis=1)), np.flatnonzero(target.any(axis=0))
                box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
                for p in pairs[self.areas[detections[pairs], frame] > 0]:
                    shared[p, frame] = np.count_nonzero(target[box] & (self._masks[detections[p], frame][box] != 0))
        return shared


def mean_areas(areas: np.ndarray) -> np.ndarray:
    """The area of a track, [N] from [N, T]: the mean over the frames in which it has any.

    >>> mean_areas(np.array([[4.0, 0.0, 8.0], [0.0, 0.0, 0.0]])).tolist()
    [6.0, 0.0]
    """
    visible = areas > 0
    if np.array_equal(areas, np.rint(areas)):  # integers may be added in any order
        return np.where(visible, areas, 0).sum(axis=1) / np.maximum(visible.sum(axis=1), 1)
    return np.array([row[row > 0].mean() if (row > 0).any() else 0.0 for row in areas], dtype=np.float64)


def quotient(part: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    """``part / whole``, broadcast; 0 where ``whole`` is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def frame_overlaps(
    predicted: TrackMasks, annotated: TrackMasks, detections: np.ndarray, tracks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that D detections have in common with G tracks, and together with them: float64 [D, G, T], integers.

    Args:
        detections: [D], indices.
        tracks: [G], likewise.
    """
    areas, gt_areas = predicted.areas[detections][:, None], annotated.areas[tracks][None]
    shared = np.zeros((len(detections), len(tracks), predicted.areas.shape[1]))
    d, g = np.nonzero(np.minimum(areas, gt_areas).any(axis=2))  # pairs that share a frame
    if d.size:
        shared[d, g] = predicted.intersect(annotated, detections[d], tracks[g])
    return shared, areas + gt_areas - shared


def track_ious(
    detections: Sequence[Sequence[RLE | None]], ground_truth: Sequence[Sequence[RLE | None]], num_frames: int
) -> np.ndarray:
    """IoU of every detection (D x T masks) with every ground-truth track (G x T): float64 [D, G].

    ``IoU = sum_t |d_t & g_t| / sum_t |d_t | g_t|``, 0 where both tracks are empty. An IoU below the lowest
    threshold may be given as 0: nothing reads it.

    >>> from pycocotools import mask as rle
    >>> def full(height): return {"size": [4, 2], "counts": [0, 4 + height, 4 - height]}
    >>> masks = [rle.frPyObjects(full(height), 4, 2) for height in (4, 2)]
    >>> track = [masks, [masks[0], None]]
    >>> track_ious(track, track, num_frames=2)[0].round(4).tolist()
    [1.0, 0.5714]
    """
    ious = np.zeros((len(detections), len(ground_truth)))
    size = next((m["size"] for track in detections for m in track if m is not None), None)
    if size is None:
        return ious
    counts = ([m and m["counts"] for track in tracks for m in track] for tracks in (detections, ground_truth))
    d, g = (places.ravel() for places in np.indices(ious.shape))
    predicted, annotated = (TrackMasks.of(texts, num_frames, *size) for texts in counts)
    pairs = pair_ious(predicted, annotated, d, g)
    ious[pairs.detection, pairs.track] = pairs.iou
    return ious


def pair_ious(
    predicted: TrackMasks | BitMasks, ground_truth: TrackMasks, detections: np.ndarray, tracks: np.ndarray
) -> Pairs:
    """IoUs of pairs of indices ``(detections[p], tracks[p])``, without the pairs below the lowest threshold."""
    areas, gt_areas = predicted.areas[detections], ground_truth.areas[tracks]
    # I <= sum min and U >= sum max: exact, and cheaper than an intersection
    hopeful = np.minimum(areas, gt_areas).sum(axis=1) >= THRESHOLDS[0] * np.maximum(areas, gt_areas).sum(axis=1)
    detections, tracks = detections[hopeful], tracks[hopeful]
    shared = predicted.intersect(ground_truth, detections, tracks).sum(axis=1, dtype=np.float64)
    unions = (areas + gt_areas)[hopeful].sum(axis=1) - shared
    ious = quotient(shared, unions)
    kept = ious >= THRESHOLDS[0]
    return Pairs(detections[kept], tracks[kept], ious[kept])
