"""Run-length code without a compiler: decoded by numpy, intersected by pycocotools.

The same functions as :mod:`cvis.evaluation.kernel`, and the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as rle

if TYPE_CHECKING:
    from cvis.evaluation.overlap import TrackMasks

_FIRST = 48  # a compressed string writes six bits per character, from chr(48) on
_MORE, _SIGN, _VALUE, _BITS = 0x20, 0x10, 0x1F, 5
_LONGEST = 7  # characters in one number
_CHUNK = 1 << 16  # codes decoded at once: what a processor's cache holds

Decoded = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def decode(codes: np.ndarray, offsets: np.ndarray, pixels: int) -> Decoded:
    """See :func:`cvis.evaluation.kernel.decode`."""
    num = len(offsets) - 1
    lengths, areas, sound = np.zeros(num, np.int64), np.zeros(num, np.int64), _well_formed(codes, offsets)
    own = np.flatnonzero(sound & (np.diff(offsets) > 0))
    chunks = np.split(own, np.flatnonzero(np.diff(offsets[own] // _CHUNK)) + 1) if own.size else []
    ends = [np.zeros(0, np.uint32)]
    for chunk in chunks:
        texts = [codes[offsets[n] : offsets[n + 1]] for n in chunk]
        found, lengths[chunk], areas[chunk], sound[chunk] = _decode(texts, pixels)
        ends.append(found)
    return np.concatenate(ends), np.append(0, np.cumsum(lengths)), areas, sound


def _well_formed(codes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Strings [N] of valid characters only that do not end within a number; an absent one is well formed."""
    sound = np.ones(len(offsets) - 1, dtype=bool)
    bad = np.flatnonzero((codes < _FIRST) | (codes > _FIRST + 63))
    sound[np.searchsorted(offsets, bad, side="right") - 1] = False
    present = np.flatnonzero(np.diff(offsets))
    last = codes[offsets[present + 1] - 1].astype(np.int64) - _FIRST
    sound[present[last & _MORE != 0]] = False
    return sound


def _decode(texts: list[np.ndarray], pixels: int) -> Decoded:
    """(run ends of the sound strings, number of runs, area, sound) of strings that are well formed."""
    codes = np.concatenate(texts).astype(np.int64) - _FIRST
    done = codes & _MORE == 0
    last = np.flatnonzero(done)  # of each number
    size = np.diff(last, prepend=-1)
    shifts = np.arange(codes.size) - np.repeat(last - size + 1, size)
    runs = np.add.reduceat((codes & _VALUE) << np.minimum(_BITS * shifts, 63), last - size + 1)
    runs -= (codes[last] & _SIGN != 0).astype(np.int64) << np.minimum(_BITS * size, 63)
    stops = np.cumsum([len(text) for text in texts])
    starts = np.append(0, np.searchsorted(last, stops - 1) + 1)  # of each string, in runs
    lengths, starts = np.diff(starts), starts[:-1]
    place = np.arange(runs.size) - np.repeat(starts, lengths)
    odd = place % 2 == 1
    for group in (odd, ~odd & (place > 0)):  # differences to the run before last, but for the first three
        values, first = runs[group], place[group] < 3
        sums = np.cumsum(values)
        runs[group] = sums - np.repeat((sums - values)[first], np.diff(np.append(np.flatnonzero(first), len(sums))))
    bad = (size > _LONGEST) | (runs < 0) | (runs > pixels)
    runs[bad] = 0
    ends = np.cumsum(runs)
    ends -= np.repeat(ends[starts] - runs[starts], lengths)
    sound = ~np.logical_or.reduceat(bad, starts) & (ends[starts + lengths - 1] == pixels)
    areas = np.where(sound, np.add.reduceat(runs * odd, starts), 0)
    return ends[np.repeat(sound, lengths)].astype(np.uint32), np.where(sound, lengths, 0), areas, sound


def intersect(own: TrackMasks, other: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """See :func:`cvis.evaluation.kernel.common_pixels`."""
    num_frames = own.areas.shape[1]
    shared = np.zeros((len(detections), num_frames), np.int64)
    for frame in range(num_frames):
        areas, gt_areas = own.areas[:, frame], other.areas[:, frame]
        both = np.flatnonzero((areas[detections] > 0) & (gt_areas[tracks] > 0))
        if both.size:
            d, row = np.unique(detections[both], return_inverse=True)
            g, column = np.unique(tracks[both], return_inverse=True)
            ratios = rle.iou(
                [own.rle(n, frame) for n in d],
                [other.rle(n, frame) for n in g],
                [0] * len(g),  # a crowd has no IoU of its own here, unlike in COCO
            )
            ratio = ratios[row, column]
            # r = I / (sum - I), so I = r sum / (1 + r): exact, as I is an integer far below 2**52
            total = areas[detections[both]] + gt_areas[tracks[both]]
            shared[both, frame] = np.rint(ratio * total / (1 + ratio)).astype(np.int64)
    return shared
