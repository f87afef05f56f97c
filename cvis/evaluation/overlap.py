"""Areas and IoUs of tracks, frame by frame in run-length code.

The IoU of two tracks is the quotient of two integers, the intersections and the unions summed over all
frames, divided in float64: what the official evaluator computes, bit for bit.

Two backends give the same integers: numba's (:mod:`cvis.evaluation.kernel`) where it can be imported, else
pycocotools' (:mod:`cvis.evaluation.fallback`). The environment variable ``CVIS_KERNEL`` forces one.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from cvis.data.problem import short
from cvis.errors import UserError
from cvis.evaluation.match import Pairs
from cvis.evaluation.protocol import THRESHOLDS
from cvis.types import RLE

_MODULES = {"numba": "cvis.evaluation.kernel", "pycocotools": "cvis.evaluation.fallback"}


def backend() -> ModuleType:
    """The module that decodes and intersects: ``CVIS_KERNEL``, else numba if it can be imported.

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

    def __len__(self) -> int:
        return len(self.areas)

    @property
    def damaged(self) -> tuple[int, int] | None:
        """(track, frame) of the first mask whose runs do not fill the frame; None if all do."""
        if self.sound.all():
            return None
        track, frame = np.argwhere(~self.sound)[0].tolist()
        return track, frame

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


def decoded(tracks: Sequence[Sequence[RLE | None]], num_frames: int) -> TrackMasks:
    """Decode masks that share one size.

    Raises:
        UserError: the runs of a mask do not fill its frame.
    """
    flat = [m for track in tracks for m in track]
    height, width = next((m["size"] for m in flat if m is not None), (0, 0))
    masks = TrackMasks.of([None if m is None else m["counts"] for m in flat], num_frames, height, width)
    if masks.damaged:
        track, frame = masks.damaged
        text = short(masks.rle(track, frame)["counts"].decode("latin-1"))
        raise UserError(
            f"track {track}: segmentations[{frame}].counts: {text}: does not fill a frame of {height} x {width}; "
            "damaged, or of another frame size: encode the mask again"
        )
    return masks


def mask_areas(tracks: Sequence[Sequence[RLE | None]], num_frames: int) -> np.ndarray:
    """Pixels of every mask: float64 [N, T] with integer values, 0 where a track is absent.

    Raises:
        UserError: the runs of a mask do not fill its frame.
    """
    return decoded(tracks, num_frames).areas if len(tracks) else np.zeros((0, num_frames))


def mean_areas(areas: np.ndarray) -> np.ndarray:
    """The area of a track, [N] from [N, T]: the mean over the frames in which it has any.

    >>> mean_areas(np.array([[4.0, 0.0, 8.0], [0.0, 0.0, 0.0]])).tolist()
    [6.0, 0.0]
    """
    visible = areas > 0
    if np.array_equal(areas, np.rint(areas)):  # integers may be added in any order
        return np.where(visible, areas, 0).sum(axis=1) / np.maximum(visible.sum(axis=1), 1)
    return np.array([row[row > 0].mean() if (row > 0).any() else 0.0 for row in areas], dtype=np.float64)


def intersections(
    detections: Sequence[Sequence[RLE | None]],
    ground_truth: Sequence[Sequence[RLE | None]],
    areas: np.ndarray,
    gt_areas: np.ndarray,
) -> np.ndarray:
    """Pixels common to a detection and a ground-truth track, per frame: float64 [D, G, T], exact integers.

    Args:
        detections: D x T masks.
        ground_truth: G x T masks.
        areas: [D, T] from :func:`mask_areas`.
        gt_areas: [G, T], likewise.

    >>> from pycocotools import mask as rle
    >>> def full(height): return {"size": [4, 2], "counts": [0, 4 + height, 4 - height]}
    >>> masks = [rle.frPyObjects(full(height), 4, 2) for height in (4, 2)]
    >>> track = [masks, [masks[0], None]]
    >>> intersections(track, track, mask_areas(track, 2), mask_areas(track, 2)).tolist()
    [[[8.0, 6.0], [8.0, 0.0]], [[8.0, 0.0], [8.0, 0.0]]]
    """
    num_frames = areas.shape[1]
    pixels = np.zeros((len(detections), len(ground_truth), num_frames))
    d, g = np.nonzero(np.minimum(areas[:, None], gt_areas).any(axis=2))  # pairs that share a frame
    if d.size:
        pixels[d, g] = decoded(detections, num_frames).intersect(decoded(ground_truth, num_frames), d, g)
    return pixels


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
    d, g = np.nonzero(np.ones_like(ious))
    if d.size:
        pairs = pair_ious(decoded(detections, num_frames), decoded(ground_truth, num_frames), d, g)
        ious[pairs.detection, pairs.track] = pairs.iou
    return ious


class Comparable(Protocol):
    """Detections in any form that can be compared with decoded ground truth."""

    @property
    def areas(self) -> np.ndarray: ...

    def intersect(self, ground_truth: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray: ...


def pair_ious(predicted: Comparable, ground_truth: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> Pairs:
    """IoUs of pairs of indices ``(detections[p], tracks[p])``, without the pairs below the lowest threshold."""
    areas, gt_areas = predicted.areas[detections], ground_truth.areas[tracks]
    # I <= sum min and U >= sum max: exact, and cheaper than an intersection
    hopeful = np.minimum(areas, gt_areas).sum(axis=1) >= THRESHOLDS[0] * np.maximum(areas, gt_areas).sum(axis=1)
    detections, tracks = detections[hopeful], tracks[hopeful]
    shared = predicted.intersect(ground_truth, detections, tracks).sum(axis=1, dtype=np.float64)
    unions = (areas + gt_areas)[hopeful].sum(axis=1) - shared
    ious = np.divide(shared, unions, out=np.zeros_like(unions), where=unions > 0)
    kept = ious >= THRESHOLDS[0]
    return Pairs(detections[kept], tracks[kept], ious[kept])
