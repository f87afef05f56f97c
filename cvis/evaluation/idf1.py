"""IDF1: how many detections belong to the one predicted track that stands for their object.

Ristani, Solera, Zou, Cucchiara, Tomasi, "Performance Measures and a Data Set for Multi-Target, Multi-Camera
Tracking", ECCV Workshops 2016 (arXiv 1609.01775). Here a detection is the mask of a track in one frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

THRESHOLD = 0.5
"""Two masks of one frame can be the same object from this IoU on."""


@dataclass(frozen=True, slots=True)
class IDCounts:
    """What IDF1 is made of. Counts of several videos, or classes, add up."""

    idtp: int  # detections of assigned tracks that are the same object
    num_gt: int  # ground-truth detections: IDTP + IDFN
    num_predicted: int  # predicted detections: IDTP + IDFP

    @classmethod
    def zero(cls) -> IDCounts:
        return cls(0, 0, 0)

    def __add__(self, other: IDCounts) -> IDCounts:
        return IDCounts(self.idtp + other.idtp, self.num_gt + other.num_gt, self.num_predicted + other.num_predicted)

    def scores(self) -> dict[str, float | None]:
        """IDF1, IDP and IDR in [0, 1]; None without ground truth, 0 without predictions.

            IDP = IDTP / (IDTP + IDFP),   IDR = IDTP / (IDTP + IDFN),   IDF1 = 2 IDTP / (2 IDTP + IDFP + IDFN)

        >>> IDCounts(idtp=3, num_gt=6, num_predicted=4).scores()
        {'IDF1': 0.6, 'IDP': 0.75, 'IDR': 0.5}
        """
        if not self.num_gt:
            return {"IDF1": None, "IDP": None, "IDR": None}
        precision = self.idtp / self.num_predicted if self.num_predicted else 0.0
        f1 = 2 * self.idtp / (self.num_gt + self.num_predicted)
        return {"IDF1": f1, "IDP": precision, "IDR": self.idtp / self.num_gt}


def count_ids(similarity: np.ndarray, predicted: np.ndarray, annotated: np.ndarray) -> IDCounts:
    """Count one class of one video.

    Every ground-truth track is assigned at most one predicted track for the whole video, and every predicted
    track at most one ground-truth track, so that IDTP is largest (IDFN and IDFP are then smallest).

    Args:
        similarity: IoU in [0, 1] per frame, [D, G, T]; 0 where either is absent.
        predicted: [D, T] bool, where the predicted tracks have a mask.
        annotated: [G, T] bool, likewise.
    """
    common = (similarity >= THRESHOLD).sum(axis=2)
    pairs = linear_sum_assignment(common, maximize=True)
    return IDCounts(int(common[pairs].sum()), int(annotated.sum()), int(predicted.sum()))
