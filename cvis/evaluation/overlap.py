"""Areas and IoUs of tracks, frame by frame in run-length code.

The IoU of two tracks is the quotient of two integers, the intersections and the unions summed over all
frames, divided in float64: what the official evaluator computes, bit for bit.

Two backends give the same integers: machine code of numba's (:mod:`cvis.evaluation.kernel`) where it can be had, else
pycocotools (:mod:`cvis.evaluation.fallback`). The environment variable ``CVIS_KERNEL`` forces one.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from pycocotools import mask as rle

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.evaluation.check import check_runs, check_tracks
from cvis.evaluation.match import Pairs
from cvis.evaluation.protocol import THRESHOLDS
from cvis.types import RLE, Tracks, Video

_MODULES = {"numba": "cvis.evaluation.kernel", "pycocotools": "cvis.evaluation.fallback"}


def backend() -> ModuleType:
    """The module that decodes and intersects: ``CVIS_KERNEL``, else numba if there is code of it.

    Raises:
        UserError: ``CVIS_KERNEL`` is neither numba nor pycocotools, or numba and cannot be imported.
    """
    return _backend(os.environ.get("CVIS_KERNEL") or None)


@cache
def _backend(name: str | None) -> ModuleType:
    if name is not None and name not in _MODULES:
        raise UserError(f"CVIS_KERNEL: {name}: no such kernel; use one of {', '.join(_MODULES)}, or unset it")
    try:
        return importlib.import_module(_MODULES[name or "numba"])
    except ImportError as error:
        if name is not None:
            raise UserError(f"CVIS_KERNEL: {name}: cannot be imported: {error}; install it or unset it") from error
        return importlib.import_module(_MODULES["pycocotools"])


@dataclass(frozen=True, slots=True)
class TrackMasks:
    """N tracks of T frames, decoded once to be compared often."""

    height: int
    width: int
    codes: np.ndarray  # uint8 [B], the compressed strings end to end
    offsets: np.ndarray  # int64 [N T + 1], where each begins; absent masks have none
    ends: np.ndarray  # uint32 [R], where the runs end, background first; none from the fallback
    starts: np.ndarray  # int64 [N T + 1], where each mask's runs begin
    areas: np.ndarray  # float64 [N, T], integers; 0 where absent
    sound: np.ndarray  # bool [N, T], False where the runs do not fill the frame

    @classmethod
    def of(cls, counts: Sequence[bytes | str | None], num_frames: int, height: int, width: int) -> TrackMasks:
        """Decode compressed strings, N T of them, track by track; None where a track is absent.

        Raises:
            UserError: the frame is too large for the run-length code.
        """
        if height * width >= 2**32:
            raise UserError(f"size: {height} x {width}: run lengths are counted in 32 bits; use smaller frames")
        lengths, codes = _joined(counts)
        offsets = np.append(0, np.cumsum(lengths))
        ends, starts, areas, sound = backend().decode(codes, offsets, height * width)
        if (lengths == 0).any():
            sound[[n for n, c in enumerate(counts) if c is not None and not c]] = False
        shape = (-1, num_frames) if num_frames else (0, 0)
        areas, sound = areas.astype(np.float64).reshape(shape), sound.reshape(shape)
        return cls(height, width, codes, offsets, ends, starts, areas, sound)

    def rle(self, track: int, frame: int) -> RLE:
        """One mask as pycocotools takes it; it must be present."""
        n = track * self.areas.shape[1] + frame
        counts = self.codes[self.offsets[n] : self.offsets[n + 1]].tobytes()
        return RLE(size=[self.height, self.width], counts=counts)

    def intersect(self, ground_truth: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
        """Common pixels per frame of P pairs ``(detections[p], tracks[p])`` of indices: int64 [P, T]."""
        return backend().intersect(self, ground_truth, detections, tracks)


def _joined(counts: Sequence[bytes | str | None]) -> tuple[np.ndarray, np.ndarray]:
    """The length of every string in bytes, and all of them end to end."""
    texts: list[Any] = [c for c in counts if c is not None]
    kinds = set(map(type, texts))
    if kinds == {str} and all(map(str.isascii, texts)):
        codes = "".join(texts).encode()
    else:  # not ASCII: no valid code, hence damaged
        texts = [c.encode(errors="surrogatepass") if isinstance(c, str) else c for c in texts]
        codes = b"".join(texts)
    lengths = np.zeros(len(counts), np.int64)
    present = slice(None) if len(texts) == len(counts) else [c is not None for c in counts]
    lengths[present] = np.fromiter(map(len, texts), np.int64, len(texts))
    return lengths, np.frombuffer(codes, np.uint8)


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
