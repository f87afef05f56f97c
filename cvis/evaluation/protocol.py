"""The constants of the official YouTube-VIS evaluation, and the twelve numbers it reports.

Yang, Fan, Xu, "Video Instance Segmentation", ICCV 2019: COCO's average precision with the IoU taken over
whole tracks, and with its own area ranges.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""T = 10 track-IoU thresholds."""

RECALLS = np.linspace(0.0, 1.0, 101)
"""R = 101 recall levels at which the precision is read."""

AREAS = np.array([[0, 1e10], [0, 128**2], [128**2, 256**2], [256**2, 1e10]], dtype=np.float64)
"""A = 4 ranges of a track's area in pixels (all, small, medium, large); **both** ends belong to a range."""

MAX_DETECTIONS = (1, 10, 100)
"""M = 3 limits on the detections of one class in one video."""


class Metric(NamedTuple):
    """Where one of the twelve numbers is read: which curve, at which threshold, area range and limit."""

    curve: Literal["precision", "recall"]
    threshold: int | None  # index into THRESHOLDS; None: the mean over all of them
    area: int  # index into AREAS
    limit: int  # index into MAX_DETECTIONS


METRICS = {
    "mAP": Metric("precision", None, 0, 2),
    "AP50": Metric("precision", 0, 0, 2),
    "AP75": Metric("precision", 5, 0, 2),
    "APs": Metric("precision", None, 1, 2),
    "APm": Metric("precision", None, 2, 2),
    "APl": Metric("precision", None, 3, 2),
    "AR1": Metric("recall", None, 0, 0),
    "AR10": Metric("recall", None, 0, 1),
    "AR100": Metric("recall", None, 0, 2),
    "ARs": Metric("recall", None, 1, 2),
    "ARm": Metric("recall", None, 2, 2),
    "ARl": Metric("recall", None, 3, 2),
}


def outside(areas: np.ndarray) -> np.ndarray:
    """Which track areas [N] lie outside which area ranges: bool [N, A].

    >>> outside(np.array([16384.0])).tolist()  # 128 x 128 is small *and* medium
    [[False, False, False, True]]
    """
    return (areas[:, None] < AREAS[:, 0]) | (areas[:, None] > AREAS[:, 1])
