"""Run-length code without a compiler: read by NumPy, intersected by pycocotools.

The same functions as :mod:`cvis.data.kernel`, and the same numbers. NumPy checks and measures the masks,
pycocotools intersects those that are whole; of damaged ones it makes anything, or never ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as rle

from cvis.types import RLE

if TYPE_CHECKING:
    from cvis.data.track_masks import TrackMasks

_FIRST = 48  # a compressed string writes six bits per character, from chr(48) on
_MORE, _SIGN, _VALUE, _BITS = 0x20, 0x10, 0x1F, 5
_LONGEST = 7  # characters in one number
_CHUNK = 1 << 16  # codes decoded at once: what a processor's cache holds

Decoded = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def decode(codes: np.ndarray, offsets: np.ndarray, pixels: int) -> Decoded:
    """See :func:`cvis.data.kernel.decode`; without run ends, as pycocotools reads the strings again."""
    num = len(offsets) - 1
    areas, sound, lengths = np.zeros(num, np.int64), _well_formed(codes, offsets), np.diff(offsets)
    present = np.flatnonzero(sound & (lengths > 0))
    if not sound.all():
        codes = codes[np.repeat(sound, lengths)]
    stops = np.cumsum(lengths[present])
    borders = np.flatnonzero(np.diff(stops // _CHUNK)) + 1
    for chunk, chunk_stops in zip(np.split(present, borders), np.split(stops, borders), strict=True):
        if chunk.size:
            begin = chunk_stops[0] - lengths[chunk[0]]
            areas[chunk], sound[chunk] = _measure(codes[begin : chunk_stops[-1]], chunk_stops - begin, pixels)
    return np.zeros(0, np.uint32), np.zeros(num + 1, np.int64), areas, sound


def _well_formed(codes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Strings [N] of valid characters only that do not end within a number; an absent one is well formed."""
    sound = np.ones(len(offsets) - 1, dtype=bool)
    bad = np.flatnonzero((codes < _FIRST) | (codes > _FIRST + 63))
    sound[np.searchsorted(offsets, bad, side="right") - 1] = False
    present = np.flatnonzero(np.diff(offsets))
    last = codes[offsets[present + 1] - 1].astype(np.int64) - _FIRST
    sound[present[last & _MORE != 0]] = False
    return sound


def _measure(codes: np.ndarray, stops: np.ndarray, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """(area, whether the runs fill the frame) of well-formed strings end to end, of which each ends at ``stops``.

    From the fourth on, a run is written as its difference to the one before last. So every string has three
    chains, each a running sum of its own: the first run, the other background runs, and the foreground runs.
    All chains together are two arrays, of the numbers at even and at odd places.
    """
    values, last, long = _numbers(codes - _FIRST)
    stops = np.searchsorted(last, stops)  # in numbers
    starts = np.append(0, stops[:-1])
    heads = np.stack([starts, starts + 1, starts + 2], axis=1)
    heads = heads[heads < stops[:, None]]
    longest = int((stops - starts).max())
    small = max(int(values.max()), -int(values.min())) * longest < 2**30  # no sum overflows
    rows = np.arange(len(starts))
    sums, bad = np.zeros((2, len(starts)), np.int64), np.zeros(len(starts), dtype=bool)
    bad[np.searchsorted(stops, long, side="right")] = True
    for parity in (0, 1):
        runs: np.ndarray = values[parity::2].astype(np.int32 if small else np.int64)
        if not runs.size:
            continue
        firsts = heads[heads & 1 == parity] >> 1
        runs[firsts[1:]] -= np.add.reduceat(runs, firsts)[:-1]  # each chain begins at 0
        np.cumsum(runs, out=runs)
        first, stop = (starts + 1 - parity) >> 1, (stops + 1 - parity) >> 1
        some, low, high = rows[first < stop], int(runs.min()), int(runs.max())
        wide = np.int32 if max(-low, high) * longest < 2**31 else np.int64
        sums[parity, some] = np.add.reduceat(runs, first[some], dtype=wide)
        if low < 0 or high > pixels:
            bad[some] |= np.logical_or.reduceat((runs < 0) | (runs > pixels), first[some])
    sound = ~bad & (sums.sum(axis=0) == pixels)
    return np.where(sound, sums[1 - (starts & 1), rows], 0), sound


def _numbers(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers written in ``codes``: (values, the place of the last code of each, which are too long to be one).

    Numbers of up to three codes, nearly all, are made at every place where one could end; the others one by one.
    """
    digits, more = codes & _VALUE, np.zeros(len(codes) + 3, np.uint8)
    np.right_shift(codes, _BITS, out=more[3:])  # more[3 + p]: the code at p is not the last of its number
    second, third = more[2:-1], more[2:-1] & more[1:-2]  # the code at p is at least the second, the third
    signed = (digits ^ _SIGN).view(np.int8) - np.int8(_SIGN)
    values = np.multiply(signed, 1 + 31 * second, dtype=np.int16)
    values[1:] += digits[:-1] * second[1:]
    values *= 1 + 31 * third
    values[2:] += digits[:-2] * third[2:]
    final = codes < _MORE
    last = np.flatnonzero(final)
    decoded = values[last]
    numbers = np.searchsorted(last, np.flatnonzero(final & (third & more[:-3]).view(bool)))  # of four codes or more
    if not numbers.size:
        return decoded, last, numbers
    first = last[numbers - 1] + 1
    first[numbers == 0] = 0
    size = last[numbers] - first + 1
    patch = np.zeros(len(numbers), np.int64)
    for place in range(min(int(size.max()), _LONGEST)):
        longer = np.flatnonzero(size > place)
        patch[longer] |= digits[first[longer] + place].astype(np.int64) << (_BITS * place)
    patch -= (codes[last[numbers]] & _SIGN != 0).astype(np.int64) << (_BITS * np.minimum(size, _LONGEST))
    decoded = decoded.astype(np.int64 if size.max() > 6 else np.int32)
    decoded[numbers] = patch
    return decoded, last, numbers[size > _LONGEST]


def intersect(predicted: TrackMasks, annotated: TrackMasks, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """See :func:`cvis.data.kernel.common_pixels`."""
    ratios = np.zeros((len(detections), predicted.areas.shape[1]))
    d, row = np.unique(detections, return_inverse=True)
    g, column = np.unique(tracks, return_inverse=True)
    seen, gt_seen = predicted.areas[d] > 0, annotated.areas[g] > 0
    place, gt_place = np.cumsum(seen, axis=0) - 1, np.cumsum(gt_seen, axis=0) - 1  # among those in a frame
    masks, gt_masks = _by_frame(predicted, d, seen), _by_frame(annotated, g, gt_seen)
    for frame in np.flatnonzero(seen.any(axis=0) & gt_seen.any(axis=0)).tolist():
        crowd = [0] * len(gt_masks[frame])  # a crowd has no IoU of its own here, unlike in COCO
        ious = rle.iou(masks[frame], gt_masks[frame], crowd)
        ratios[:, frame] = ious[place[row, frame], gt_place[column, frame]]
    # r = I / (sum - I), so I = r sum / (1 + r): exact, as I is an integer far below 2**52
    shared = np.rint(ratios * (predicted.areas[detections] + annotated.areas[tracks]) / (1 + ratios))
    return np.where(seen[row] & gt_seen[column], shared, 0).astype(np.int64)


def compressed(text: bytes) -> str:
    """See :func:`cvis.data.kernel.compressed`; here runs stay lists, as no compiled code reads their digits."""
    return text.decode()


def _by_frame(masks: TrackMasks, tracks: np.ndarray, seen: np.ndarray) -> list[list[RLE]]:
    """The masks of some tracks in every frame, where ``seen`` [N, T]."""
    codes, size, num_frames = masks.codes.tobytes(), [masks.height, masks.width], seen.shape[1]
    frames: list[list[RLE]] = [[] for _ in range(num_frames)]
    n, frame = np.nonzero(seen)
    index = tracks[n] * num_frames + frame
    for t, begin, stop in zip(
        frame.tolist(), masks.offsets[index].tolist(), masks.offsets[index + 1].tolist(), strict=True
    ):
        frames[t].append({"size": size, "counts": codes[begin:stop]})
    return frames
