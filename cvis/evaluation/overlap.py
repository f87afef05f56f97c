"""Areas and IoUs of tracks, frame by frame in pycocotools' run-length code.

The IoU of two tracks is the quotient of two integers, the intersections and the unions summed over all
frames, divided in float64: what the official evaluator computes, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as rle

from cvis.evaluation.protocol import THRESHOLDS
from cvis.types import RLE

_CHUNK = 255  # pycocotools.mask.area overflows a uint8 beyond it with NumPy >= 2


def mask_areas(tracks: Sequence[Sequence[RLE | None]], num_frames: int) -> np.ndarray:
    """Pixels of every mask: float64 [N, T] with integer values, 0 where a track is absent."""
    present = np.array([[m is not None for m in track] for track in tracks], dtype=bool)
    areas = np.zeros((len(tracks), num_frames))
    masks = [m for track in tracks for m in track if m is not None]
    if masks:
        chunks = [rle.area(masks[i : i + _CHUNK]) for i in range(0, len(masks), _CHUNK)]
        areas[present] = np.concatenate(chunks)
    return areas


def mean_areas(areas: np.ndarray) -> np.ndarray:
    """The area of a track, [N] from [N, T]: the mean over the frames in which it has any.

    >>> mean_areas(np.array([[4.0, 0.0, 8.0], [0.0, 0.0, 0.0]])).tolist()
    [6.0, 0.0]
    """
    return np.array([own[own > 0].mean() if (own > 0).any() else 0.0 for own in areas], dtype=np.float64)


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

    >>> def full(height): return {"size": [4, 2], "counts": [0, 4 + height, 4 - height]}
    >>> masks = [rle.frPyObjects(full(height), 4, 2) for height in (4, 2)]
    >>> track = [masks, [masks[0], None]]
    >>> intersections(track, track, mask_areas(track, 2), mask_areas(track, 2)).tolist()
    [[[8.0, 6.0], [8.0, 0.0]], [[8.0, 0.0], [8.0, 0.0]]]
    """
    pixels = np.zeros((len(detections), len(ground_truth), areas.shape[1]))
    for frame in range(areas.shape[1]):
        d = np.flatnonzero(areas[:, frame] > 0)
        g = np.flatnonzero(gt_areas[:, frame] > 0)
        if d.size and g.size:
            ratios = rle.iou(
                [detections[i][frame] for i in d],
                [ground_truth[i][frame] for i in g],
                [0] * len(g),  # a crowd has no IoU of its own here, unlike in COCO
            )
            both = areas[d, frame][:, None] + gt_areas[g, frame]
            # r = I / (both - I), so I = r both / (1 + r): exact, as I is an integer far below 2**52
            pixels[np.ix_(d, g, [frame])] = np.rint(ratios * both / (1 + ratios))[..., None]
    return pixels


def track_ious(
    detections: Sequence[Sequence[RLE | None]],
    ground_truth: Sequence[Sequence[RLE | None]],
    areas: np.ndarray,
    gt_areas: np.ndarray,
) -> np.ndarray:
    """IoU of every detection with every ground-truth track: float64 [D, G].

    ``IoU = sum_t |d_t & g_t| / sum_t |d_t | g_t|``, 0 where both tracks are empty. Rows of detections that
    cannot reach the lowest threshold are left 0: nothing reads an IoU below it.

    Args:
        detections: D x T masks.
        ground_truth: G x T masks.
        areas: [D, T] from :func:`mask_areas`.
        gt_areas: [G, T], likewise.

    >>> def full(height): return {"size": [4, 2], "counts": [0, 4 + height, 4 - height]}
    >>> masks = [rle.frPyObjects(full(height), 4, 2) for height in (4, 2)]
    >>> track = [masks, [masks[0], None]]
    >>> track_ious(track, track, mask_areas(track, 2), mask_areas(track, 2))[0].round(4).tolist()
    [1.0, 0.5714]
    """
    hopeful = np.flatnonzero(_may_match(areas, gt_areas).any(axis=1))
    shared = np.zeros((len(detections), len(ground_truth)))
    shared[hopeful] = intersections([detections[d] for d in hopeful], ground_truth, areas[hopeful], gt_areas).sum(
        axis=2
    )
    unions = areas.sum(axis=1)[:, None] + gt_areas.sum(axis=1) - shared
    return np.divide(shared, unions, out=np.zeros_like(unions), where=unions > 0)


def _may_match(areas: np.ndarray, gt_areas: np.ndarray) -> np.ndarray:
    """Pairs [D, G] whose areas alone allow the lowest threshold: I <= sum min, U >= sum max."""
    most = np.minimum(areas[:, None], gt_areas[None]).sum(axis=2)
    least = np.maximum(areas[:, None], gt_areas[None]).sum(axis=2)
    return most >= THRESHOLDS[0] * least
