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
    codes = np.concatenate(texts) - _FIRST
    runs, last, bad = _numbers(codes)
    stops = np.searchsorted(last, np.cumsum([len(text) for text in texts]) - 1) + 1  # of each string, in runs
    starts = np.append(0, stops[:-1])
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        for own in (runs[start + 1 : stop : 2], runs[start + 2 : stop : 2]):
            np.cumsum(own, out=own)  # from the fourth on, a run is written as its difference to the one before last
    bad |= (runs < 0) | (runs > pixels)
    runs[bad] = 0
    ends, areas = np.empty_like(runs), np.zeros(len(texts), np.int64)
    for n, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        np.cumsum(runs[start:stop], out=ends[start:stop])
        areas[n] = runs[start + 1 : stop : 2].sum()
    sound = ~np.logical_or.reduceat(bad, starts) & (ends[stops - 1] == pixels)
    lengths = stops - starts
    kept = ends[np.repeat(sound, lengths)].astype(np.uint32)
    return kept, np.where(sound, lengths, 0), np.where(sound, areas, 0), sound


def _numbers(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers written in ``codes``: (values, the place of the last code of each, those too long to be one)."""
    last = np.flatnonzero(codes < _MORE)
    first = np.append(0, last[:-1] + 1)
    size = last - first + 1
    digits = codes & _VALUE
    values = digits[first].astype(np.int64)
    for place in range(1, min(int(size.max()), _LONGEST)):
        own = np.flatnonzero(size > place)
        values[own] |= digits[first[own] + place].astype(np.int64) << (_BITS * place)
    values -= (codes[last] & _SIGN != 0).astype(np.int64) << (_BITS * np.minimum(size, _LONGEST))
    return values, last, size > _LONGEST


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
