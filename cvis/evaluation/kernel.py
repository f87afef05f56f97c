"""Run-length code, compiled by numba: what :mod:`cvis.evaluation.fallback` does, several times faster.

Nothing here trusts a string: every code is checked before it is used, and a damaged string yields no runs.
Places are made unsigned where they index: numba then leaves out Python's rule for negative ones, and the loops
take half the time.

Imported only when masks are compared, as loading numba takes a while.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from numba import int64, uint64

_FIRST = 48  # a compressed string writes six bits per character, from chr(48) on
_MORE, _SIGN, _VALUE, _BITS = 0x20, 0x10, 0x1F, 5
_LONGEST = 7 * _BITS  # bits in one number; more than any frame needs


def _compiled(signature: str) -> Callable[[Callable], Callable]:
    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(signature, cache=True, nogil=True)(function)
        except Exception:  # no folder for the cache, a full disk, a damaged cache: then without it
            return numba.njit(signature, nogil=True)(function)

    return decorate


@_compiled("Tuple((int64, int64))(Array(uint8, 1, 'C', readonly=True), int64, int64, int64, uint32[::1], int64)")
def _decode_one(codes, begin, stop, pixels, ends, first):
    """Write the run ends of ``codes[begin:stop]`` from ``ends[first]`` on.

    Returns:
        How many there are, and the area; (-1, 0) if the runs do not fill ``pixels`` exactly.
    """
    wrong = int64(0)  # negative if there is another character
    for p in range(begin, stop):
        code = int64(codes[uint64(p)]) - _FIRST
        wrong |= code | (63 - code)
    if wrong < 0 or (codes[stop - 1] - _FIRST) & _MORE:
        return -1, 0
    count, total, area, last, before = int64(0), int64(0), int64(0), int64(0), int64(0)
    p = begin
    while p < stop:
        code = int64(codes[uint64(p)]) - _FIRST
        p += 1
        run, shift = code & _VALUE, int64(0)
        while code & _MORE and shift < _LONGEST:
            code = int64(codes[uint64(p)]) - _FIRST
            p += 1
            shift += _BITS
            run |= (code & _VALUE) << shift
        run -= (code & _SIGN) << (shift + 1)
        if count > 2:  # from the fourth on, a run is written as its difference to the one before last
            run += before
        total += run
        wrong |= run | (pixels - total) | (_LONGEST - _BITS - shift)
        area += run & -(count & 1)
        ends[uint64(first + count)] = total
        count += 1
        before, last = last, run
    return (count, area) if wrong >= 0 and total == pixels else (-1, 0)


@_compiled(
    "Tuple((uint32[::1], int64[::1], int64[::1], boolean[::1]))(Array(uint8, 1, 'C', readonly=True), int64[::1], int64)"
)
def decode(codes, offsets, pixels):
    """Decode N compressed strings.

    Args:
        codes: uint8 [B], the strings end to end.
        offsets: int64 [N + 1], where each begins; an empty one stands for an absent mask.
        pixels: of a frame, below 2**32.

    Returns:
        Where the runs end (background first), uint32 [R]; where each string's runs begin therein, int64
        [N + 1]; the pixels of each mask, int64 [N]; and whether its runs fill the frame exactly, bool [N]. A
        string of which they do not has no runs and area 0.
    """
    num = len(offsets) - 1
    ends = np.empty(len(codes), np.uint32)
    starts = np.zeros(num + 1, np.int64)
    areas = np.zeros(num, np.int64)
    sound = np.ones(num, np.bool_)
    for n in range(num):
        starts[n + 1] = starts[n]
        if offsets[n] < offsets[n + 1]:
            count, areas[n] = _decode_one(codes, offsets[n], offsets[n + 1], pixels, ends, starts[n])
            sound[n] = count >= 0
            starts[n + 1] += max(count, 0)
    return ends[: starts[num]].copy(), starts, areas, sound


@_compiled("int64(uint32[::1], int64, int64, uint32[::1], int64, int64)")
def _common(one, i, i_stop, other, j, j_stop):
    """Pixels in both masks; their runs are ``one[i:i_stop]`` and ``other[j:j_stop]``."""
    i_last, j_last = i_stop - 1 - ((i_stop - i) & 1), j_stop - 1 - ((j_stop - j) & 1)  # of foreground
    if i_last <= i or j_last <= j or one[i_last] <= other[j] or other[j_last] <= one[i]:
        return 0
    pixels = int64(0)
    i += 1
    j += 1
    while i < i_stop and j < j_stop:
        i_end, j_end = int64(one[uint64(i)]), int64(other[uint64(j)])
        low, high = max(int64(one[uint64(i - 1)]), int64(other[uint64(j - 1)])), min(i_end, j_end)
        pixels += max(high - low, 0)
        if i_end < j_end:
            i += 2
        else:
            j += 2
    return pixels


@_compiled("int64[:, ::1](uint32[::1], int64[::1], uint32[::1], int64[::1], int64[::1], int64[::1], int64)")
def common_pixels(ends, starts, gt_ends, gt_starts, detections, tracks, num_frames):
    """Pixels per frame that two tracks share, for P pairs (``detections[p]``, ``tracks[p]``): int64 [P, T]."""
    shared = np.zeros((len(detections), num_frames), np.int64)
    for p in range(len(detections)):
        for t in range(num_frames):
            d, g = detections[p] * num_frames + t, tracks[p] * num_frames + t
            shared[p, t] = _common(ends, starts[d], starts[d + 1], gt_ends, gt_starts[g], gt_starts[g + 1])
    return shared


def intersect(predicted, annotated, detections: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """:func:`common_pixels` of two :class:`cvis.evaluation.overlap.TrackMasks`."""
    pairs = np.ascontiguousarray(detections), np.ascontiguousarray(tracks)
    runs = predicted.ends, predicted.starts, annotated.ends, annotated.starts
    return common_pixels(*runs, *pairs, predicted.areas.shape[1])
