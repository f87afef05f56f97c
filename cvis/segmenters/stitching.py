"""Videos longer than a clip: windows that overlap are put together, instance by instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

from cvis.types import RLE


def windows(length: int, size: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Start and end of windows of ``size`` frames that share ``overlap`` with the one before.

    The last one ends with the video and shares as many more as that takes; a shorter video is one window.

    >>> list(windows(10, 6, 1)), list(windows(4, 6, 1))
    ([(0, 6), (4, 10)], [(0, 4)])
    """
    start = 0
    while start + size < length:
        yield start, start + size
        start += size - overlap
    yield max(0, length - size), length


@dataclass(frozen=True)
class Found:
    """One instance in the frames of a window, or of all windows so far."""

    start: int  # its first frame
    column: int  # of its class; one number for all: classes do not count, in the stitching
    scores: list[Any]  # of each frame: numbers, or what a model makes numbers of in the end
    masks: list[RLE | None]

    @property
    def score(self) -> float:
        """The mean over all of its frames."""
        return fmean(self.scores)


class Stitcher:
    """Puts windows together, in their order.

    An instance of a window goes on with one of the window before if both are of one class and the mean IoU of their
    masks, over the shared frames that show one of them, is more than ``min_iou``; pairs are chosen by the Hungarian
    method for the greatest sum. In shared frames the earlier window is believed. Who finds no partner ends, or begins.

    Attributes:
        found: all instances, those that began earlier first.
    """

    def __init__(self, min_iou: float = 0.1) -> None:
        self.min_iou = min_iou
        self.found: list[Found] = []
        self._open: list[Found] = []  # those of the last window
        self._end = 0

    def add(self, start: int, end: int, window: Sequence[Found]) -> None:
        """The instances of the window of the frames from ``start`` to ``end``."""
        shared, self._end = self._end - start, end
        gains = np.zeros((len(self._open), len(window)))
        for row, old in enumerate(self._open):
            for column, new in enumerate(window):
                if old.column == new.column:
                    gains[row, column] = mean_iou(old.masks[len(old.masks) - shared :], new.masks[:shared])
        gains[gains <= self.min_iou] = 0
        pairs = zip(*linear_sum_assignment(-gains), strict=True)
        earlier = {new: self._open[old] for old, new in pairs if gains[old, new]}
        self.found += [new for index, new in enumerate(window) if index not in earlier]
        for index, begun in earlier.items():
            begun.scores.extend(window[index].scores[shared:])
            begun.masks.extend(window[index].masks[shared:])
        self._open = [earlier.get(index, new) for index, new in enumerate(window)]


def mean_iou(one: Sequence[RLE | None], other: Sequence[RLE | None]) -> float:
    """Over the frames that show one of two instances; 0 if none does."""
    ious = [
        0.0 if a is None or b is None else float(coco_mask.iou([a], [b], [False])[0, 0])
        for a, b in zip(one, other, strict=True)
        if a is not None or b is not None
    ]
    return fmean(ious) if ious else 0.0
