"""HOTA: how well objects are detected, and how well detections of one object are kept together.

Luiten, Osep, Dendorfer, Torr, Geiger, Leal-Taixe, Leibe, "HOTA: A Higher Order Metric for Evaluating
Multi-Object Tracking", IJCV 2021 (arXiv 2009.07736). Here a detection is the mask of a track in one frame, and
the similarity of two detections is the IoU of their masks in that frame.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

ALPHAS = np.arange(1, 20) / 20
"""The localisation thresholds .05, .10, .., .95."""


@dataclass(frozen=True, slots=True)
class HOTACounts:
    """What HOTA is made of, at each of the A = 19 thresholds. Counts of several videos, or classes, add up.

    TPA(c), FNA(c) and FPA(c) of a true positive c: the true positives that join the same two tracks, and the
    detections of either track that are none of them.
    """

    tp: np.ndarray  # [A], pairs of detections matched with a similarity of at least alpha
    num_gt: np.ndarray  # [A] (constant), ground-truth detections: TP + FN
    num_predicted: np.ndarray  # [A] (constant), predicted detections: TP + FP
    ass_a: np.ndarray  # [A], sum over true positives c of TPA / (TPA + FNA + FPA)
    ass_re: np.ndarray  # [A], of TPA / (TPA + FNA)
    ass_pr: np.ndarray  # [A], of TPA / (TPA + FPA)
    loc: np.ndarray  # [A], of the similarity

    @classmethod
    def zero(cls) -> HOTACounts:
        return cls(*(np.zeros(len(ALPHAS)) for _ in fields(cls)))

    def __add__(self, other: HOTACounts) -> HOTACounts:
        return HOTACounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def scores(self) -> dict[str, float | None]:
        """HOTA and its parts, each the mean over the thresholds, in [0, 1].

            HOTA_a = sqrt(DetA_a AssA_a),   HOTA = mean_a HOTA_a
            DetA_a = TP / (TP + FN + FP),   AssA_a = 1 / TP  sum_c TPA(c) / (TPA(c) + FNA(c) + FPA(c))

        DetRe, DetPr, AssRe and AssPr likewise, with one kind of error. LocA is the mean similarity of true
        positives, and has no value at thresholds without any: they are left out of its mean, and it is None if
        all are. All others are 0 where nothing is matched. All are None without ground truth.
        """
        if not self.num_gt.any():
            return dict.fromkeys(("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA"))
        det_a = _ratio(self.tp, self.num_gt + self.num_predicted - self.tp)
        ass_a = _ratio(self.ass_a, self.tp)
        curves = {
            "HOTA": np.sqrt(det_a * ass_a),
            "DetA": det_a,
            "AssA": ass_a,
            "DetRe": _ratio(self.tp, self.num_gt),
            "DetPr": _ratio(self.tp, self.num_predicted),
            "AssRe": _ratio(self.ass_re, self.tp),
            "AssPr": _ratio(self.ass_pr, self.tp),
        }
        matched = self.tp > 0
        loc_a = float((self.loc[matched] / self.tp[matched]).mean()) if matched.any() else None
        return {**{name: float(curve.mean()) for name, curve in curves.items()}, "LocA": loc_a}


def count_hota(similarity: np.ndarray, predicted: np.ndarray, annotated: np.ndarray) -> HOTACounts:
    """Count one class of one video.

    Detections are matched one to one in every frame, so that tracks that belong together are preferred: the
    matching maximises the sum of ``A(d, g) S_t(d, g)``, where A is the alignment of the two tracks over the
    whole video, before any matching:

        A(d, g) = n(d, g) / (|d| + |g| - n(d, g))
        n(d, g) = sum_t S_t(d, g) / (sum_d' S_t(d', g) + sum_g' S_t(d, g') - S_t(d, g))

    |d| and |g| being numbers of frames. One matching serves all thresholds, as in the authors' TrackEval; their
    paper states it per threshold, with A first and S to break ties.

    Args:
        similarity: S, IoU in [0, 1] per frame, [D, G, T]; 0 where either is absent.
        predicted: [D, T] bool, where the predicted tracks have a mask.
        annotated: [G, T] bool, likewise.

    >>> one = np.ones((1, 2), dtype=bool)
    >>> counts = count_hota(np.array([[[0.9, 0.42]]]), one, one)  # 2 TP up to .40, then 1 TP, 1 FP and 1 FN
    >>> counts.tp.astype(int).tolist()
    [2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    """
    lengths, gt_lengths = predicted.sum(axis=1)[:, None], annotated.sum(axis=1)[None]
    scores = _alignment(similarity, lengths, gt_lengths)[..., None] * similarity
    matches = np.zeros((len(ALPHAS), *similarity.shape[:2]))
    loc = np.zeros(len(ALPHAS))
    for frame in np.flatnonzero(similarity.any(axis=(0, 1))):
        d, g = linear_sum_assignment(scores[..., frame], maximize=True)
        ious = similarity[d, g, frame]
        reached = ious >= ALPHAS[:, None]
        matches[:, d, g] += reached  # one to one: no pair occurs twice
        loc += reached @ ious
    joined = lengths + gt_lengths - matches
    return HOTACounts(
        tp=matches.sum(axis=(1, 2)),
        num_gt=np.full(len(ALPHAS), float(annotated.sum())),
        num_predicted=np.full(len(ALPHAS), float(predicted.sum())),
        ass_a=(matches * _ratio(matches, joined)).sum(axis=(1, 2)),
        ass_re=(matches * _ratio(matches, gt_lengths)).sum(axis=(1, 2)),
        ass_pr=(matches * _ratio(matches, lengths)).sum(axis=(1, 2)),
        loc=loc,
    )


def _alignment(similarity: np.ndarray, lengths: np.ndarray, gt_lengths: np.ndarray) -> np.ndarray:
    """``A(d, g)``, [D, G]."""
    rivals = similarity.sum(axis=0)[None] + similarity.sum(axis=1)[:, None] - similarity
    common = _ratio(similarity, rivals).sum(axis=2)
    return _ratio(common, lengths + gt_lengths - common)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, 0 where ``whole`` is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
