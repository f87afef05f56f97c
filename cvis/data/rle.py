"""Masks of one frame in COCO's run-length encoding: every form in, the compressed form out.

pycocotools decodes whatever it is given and writes past its buffer when the runs do not fit the frame
(observed with 2.0.11), so nothing reaches it here before its runs are known to sum to height x width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco

from cvis.types import RLE

_FIRST = 48  # a compressed string writes six bits per character, from chr(48) on
_MORE, _SIGN, _BITS = 0x20, 0x10, 5
_LONGEST = 7  # characters in one number: 35 bits, more than any frame needs
_LONGEST_OUTLINE = 1_000_000  # pixels of all polygons of a mask; pycocotools keeps five points of each


class RLEError(ValueError):
    """What is wrong with a segmentation. ``part`` is the field inside it, ``value`` what stands there."""

    def __init__(self, part: str, value: Any, what: str):
        super().__init__(what)
        self.part, self.value, self.what = part, value, what


def read_segmentation(segmentation: Any, height: int, width: int) -> tuple[RLE, int]:
    """Any segmentation of a YouTube-VIS or OVIS file as compressed RLE.

    Args:
        segmentation: polygons ``[[x, y, x, y, ...], ...]`` in pixels, or ``{"counts", "size"}`` with
            ``counts`` a list of runs or a compressed string.
        height: of the video, pixels.
        width: of the video, pixels.

    Returns:
        The RLE and its area in pixels.

    Raises:
        RLEError: it is none of these, or does not fit the frame.
    """
    if segmentation and isinstance(segmentation, list):
        return _from_polygons(segmentation, height, width)
    if not isinstance(segmentation, dict):
        raise RLEError("", segmentation, "is neither polygons nor RLE nor null")
    for key in ("size", "counts"):
        if key not in segmentation:
            raise RLEError(f".{key}", None, "is missing")
    size, counts = segmentation["size"], segmentation["counts"]
    if size != [height, width]:
        raise RLEError(".size", size, f"the video is {height} x {width} (height x width)")
    try:
        runs = _uncompressed(counts) if isinstance(counts, list) else decode_runs(counts)
    except ValueError as error:
        raise RLEError(".counts", counts, str(error)) from None
    _check_fit(runs, height, width)
    area = int(runs[1::2].sum())
    if isinstance(counts, list):
        return coco.frPyObjects({"size": [height, width], "counts": runs}, height, width), area
    return RLE(size=[height, width], counts=_as_bytes(counts)), area


def encode(mask: np.ndarray) -> RLE | None:
    """Compressed RLE of a bool [H, W] mask; None if it is empty."""
    if not mask.any():
        return None
    code = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return RLE(size=[int(side) for side in code["size"]], counts=code["counts"])


def _check_fit(runs: np.ndarray, height: int, width: int) -> None:
    pixels = height * width
    if runs.min() < 0:
        raise RLEError(".counts", int(runs.min()), "is a negative run")
    if runs.max() > pixels:  # first: the sum of such runs might wrap around
        raise RLEError(".counts", int(runs.max()), f"is a run longer than the frame; {height} x {width} = {pixels}")
    if runs.sum() != pixels:
        raise RLEError(".counts", int(runs.sum()), f"is what the runs sum to; {height} x {width} = {pixels}")


def decode_runs(counts: str | bytes) -> np.ndarray:
    """The runs (background first) of a compressed string, int64 ``[N]``.

    A run is written as its difference to the one two places before it (from the fourth on), in groups of
    five bits, lowest first; the last group carries the sign.

    Raises:
        ValueError: this is not a compressed RLE string.

    >>> decode_runs(b"5225").tolist()
    [5, 2, 2, 7]
    """
    if not isinstance(counts, str | bytes):
        raise ValueError("is neither a list of runs nor a compressed string")
    codes = np.frombuffer(_as_bytes(counts), np.uint8).astype(np.int64) - _FIRST
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & _MORE:
        raise ValueError("is not a compressed RLE string")
    ends = np.flatnonzero(codes & _MORE == 0)
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        raise ValueError("is not a compressed RLE string")
    shifts = _BITS * (np.arange(codes.size) - np.repeat(starts, lengths))
    runs = np.add.reduceat((codes & 0x1F) << shifts, starts)
    runs -= ((codes[ends] & _SIGN) != 0).astype(np.int64) << (_BITS * lengths)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _as_bytes(counts: str | bytes) -> bytes:
    return counts if isinstance(counts, bytes) else counts.encode("utf-8")


def _uncompressed(counts: list) -> np.ndarray:
    try:
        runs = np.array(counts)
    except (ValueError, OverflowError):  # nested lists
        runs = np.array([])
    if runs.ndim != 1 or runs.size == 0 or runs.dtype.kind != "i":
        raise ValueError("is not a list of whole numbers")
    return runs


def _from_polygons(polygons: list, height: int, width: int) -> tuple[RLE, int]:
    outline = 0.0
    for i, polygon in enumerate(polygons):
        try:
            points = np.array(polygon)
        except ValueError:
            points = np.array([])
        if points.ndim != 1 or points.size < 6 or points.size % 2 or points.dtype.kind not in "if":
            raise RLEError(f"[{i}]", polygon, "is not a polygon [x, y, x, y, x, y, ...]")
        if not np.isfinite(points).all():
            raise RLEError(f"[{i}]", polygon, "has a coordinate that is not finite")
        if not _near_frame(points, height, width):
            raise RLEError(f"[{i}]", polygon, f"lies far outside the frame of {height} x {width}")
        corners = points.reshape(-1, 2)
        outline += np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
        if outline > _LONGEST_OUTLINE:
            raise RLEError(f"[{i}]", polygon, f"makes the outlines longer than {_LONGEST_OUTLINE} pixels")
    rle = coco.merge(coco.frPyObjects(polygons, height, width))
    return rle, int(coco.area(rle))


def _near_frame(points: np.ndarray, height: int, width: int) -> bool:
    """Whether no point is further than one frame size outside; pycocotools walks every pixel of an edge and
    overflows its counters on long ones."""
    size = np.tile([width, height], points.size // 2)
    return bool(((points >= -size) & (points <= 2 * size)).all())
