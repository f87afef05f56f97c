"""Predicted masks as a model makes them, compared without encoding: encoding costs more than the evaluation."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle

from cvis.errors import UserError
from cvis.evaluation.overlap import TrackMasks
from cvis.types import Video


class BitMasks:
    """N tracks of T frames, bool or uint8 [N, T, H, W]; every value but 0 is foreground."""

    def __init__(self, masks: np.ndarray) -> None:
        self._masks = masks
        areas = [np.count_nonzero(m) for track in masks for m in track]
        self.areas = np.array(areas, dtype=np.float64).reshape(masks.shape[:2])
        """Pixels of every mask, float64 [N, T]."""

    def intersect(self, ground_truth: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
        """Common pixels per frame of P pairs ``(detections[p], tracks[p])`` of indices: int64 [P, T]."""
        shared = np.zeros((len(detections), self.areas.shape[1]), np.int64)
        for track in np.unique(tracks):
            pairs = np.flatnonzero(tracks == track)
            for frame in np.flatnonzero(ground_truth.areas[track]):
                target = rle.decode(ground_truth.rle(track, frame)).astype(bool)
                box = _box(target)
                for p in pairs[self.areas[detections[pairs], frame] > 0]:
                    shared[p, frame] = np.count_nonzero(target[box] & (self._masks[detections[p], frame][box] != 0))
        return shared


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def check_bitmaps(video: Video, num_tracks: int, masks: np.ndarray) -> np.ndarray:
    """The masks, as an array.

    Raises:
        UserError: they are not bool or uint8 [N, T, H, W] of the video.
    """
    masks = np.asarray(masks)
    if masks.dtype not in (np.bool_, np.uint8):
        raise UserError(f"video {video.id}: masks: of type {masks.dtype}: neither bool nor uint8; threshold them first")
    shape = (num_tracks, len(video), video.height, video.width)
    if masks.shape != shape:
        raise UserError(
            f"video {video.id}: masks: of shape {masks.shape}: give {shape}, tracks x frames x height x width"
        )
    return masks
