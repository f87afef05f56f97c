"""HOTA and IDF1: how well objects are detected, and how well the detections of one object are kept together.

Luiten, Osep, Dendorfer, Torr, Geiger, Leal-Taixe, Leibe, "HOTA: A Higher Order Metric for Evaluating
Multi-Object Tracking", IJCV 2021 (arXiv 2009.07736); Ristani, Solera, Zou, Cucchiara, Tomasi, "Performance
Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCV Workshops 2016 (arXiv 1609.01775). Here a
detection is the mask of a track in one frame, and the similarity of two detections is the IoU of their masks in
that frame.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from cvis.evaluation.overlap import quotient

ALPHAS = np.arange(1, 20) / 20
"""The localisation thresholds .05, .10, .., .95 of HOTA."""
IDENTITY = 0.5
"""For IDF1 two masks of one frame can be the same object from this IoU on."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What HOTA (at each of its A = 19 thresholds) and IDF1 are made of. Counts of several videos, or classes, add up.

    TPA(c), FNA(c) and FPA(c) of a true positive c: the true positives that join the same two tracks, and the
    detections of either track that are none of them.
    """

    num_gt: int  # ground-truth detections: TP + FN, or IDTP + IDFN
    num_predicted: int  # predicted detections: TP + FP, or IDTP + IDFP
    idtp: int  # detections of assigned tracks that are the same object
    tp: np.ndarray  # [A], pairs of detections matched with a similarity of at least alpha
    ass_a: np.ndarray  # [A], sum over true positives c of TPA / (TPA + FNA + FPA)
    ass_re: np.ndarray  # [A], of TPA / (TPA + FNA)
    ass_pr: np.ndarray  # [A], of TPA / (TPA + FPA)
    loc: np.ndarray  # [A], of the similarity

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def scores(self) -> dict[str, float | None]:
        """HOTA and its parts, each the mean over the thresholds, then IDF1, IDP and IDR; x100.

            HOTA_a = sqrt(DetA_a AssA_a),   HOTA = mean_a HOTA_a
            DetA_a = TP / (TP + FN + FP),   AssA_a = 1 / TP  sum_c TPA(c) / (TPA(c) + FNA(c) + FPA(c))
            IDP = IDTP / (IDTP + IDFP),   IDR = IDTP / (IDTP + IDFN),   IDF1 = 2 IDTP / (2 IDTP + IDFP + IDFN)

        DetRe, DetPr, AssRe and AssPr likewise, with one kind of error. LocA is the mean similarity of true
        positives, and has no value at thresholds without any: they are left out of its mean, and it is None if
        all are. All others are 0 where nothing is matched. All are None without ground truth.

        >>> from dataclasses import replace
        >>> scores = replace(NOTHING, idtp=3, num_gt=6, num_predicted=4).scores()
        >>> scores["IDF1"], scores["IDP"], scores["IDR"]
        (60.0, 75.0, 50.0)
        """
        det_a = quotient(self.tp, self.num_gt + self.num_predicted - self.tp)
        ass_a = quotient(self.ass_a, self.tp)
        curves = {
            "HOTA": np.sqrt(det_a * ass_a),
            "DetA": det_a,
            "AssA": ass_a,
            "DetRe": quotient(self.tp, self.num_gt),
            "DetPr": quotient(self.tp, self.num_predicted),
            "AssRe": quotient(self.ass_re, self.tp),
            "AssPr": quotient(self.ass_pr, self.tp),
        }
        matched = self.tp > 0
        scores: dict[str, float | None] = {
            **{name: 100 * float(curve.mean()) for name, curve in curves.items()},
            "LocA": 100 * float((self.loc[matched] / self.tp[matched]).mean()) if matched.any() else None,
            "IDF1": 100 * (2 * self.idtp / max(self.num_gt + self.num_predicted, 1)),
            "IDP": 100 * (self.idtp / max(self.num_predicted, 1)),
            "IDR": 100 * (self.idtp / max(self.num_gt, 1)),
        }
        return scores if self.num_gt else dict.fromkeys(scores)


NOTHING = Counts(0, 0, 0, *np.zeros((5, len(ALPHAS))))


def count(similarity: np.ndarray, predicted: np.ndarray, annotated: np.ndarray) -> Counts:
    """Count one class of one video.

    For HOTA, detections are matched one to one in every frame, so that tracks that belong together are preferred:
    the matching maximises the sum of ``A(d, g) S_t(d, g)``, where A is the alignment of the two tracks over the
    whole video, before any matching:

        A(d, g) = n(d, g) / (|d| + |g| - n(d, g))
        n(d, g) = sum_t S_t(d, g) / (sum_d' S_t(d', g) + sum_g' S_t(d, g') - S_t(d, g))

    |d| and |g| being numbers of frames. One matching serves all thresholds, as in the authors' TrackEval; their
    paper states it per threshold, with A first and S to break ties.

    For IDF1, every ground-truth track is assigned at most one predicted track for the whole video, and every
    predicted track at most one ground-truth track, so that IDTP is largest (IDFN and IDFP are then smallest).

    Args:
        similarity: S, IoU in [0, 1] per frame, [D, G, T]; 0 where either is absent.
        predicted: [D, T] bool, where the predicted tracks have a mask.
        annotated: [G, T] bool, likewise.

    >>> one = np.ones((1, 2), dtype=bool)
    >>> counts = count(np.array([[[0.9, 0.42]]]), one, one)  # 2 TP up to .40, then 1 TP, 1 FP and 1 FN
    >>> counts.tp.astype(int).tolist(), counts.idtp
    ([2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0], 1)
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
    same = (similarity >= IDENTITY).sum(axis=2)
    return Counts(
        num_gt=int(annotated.sum()),
        num_predicted=int(predicted.sum()),
        idtp=int(same[linear_sum_assignment(same, maximize=True)].sum()),
        tp=matches.sum(axis=(1, 2)),
        ass_a=(matches * quotient(matches, lengths + gt_lengths - matches)).sum(axis=(1, 2)),
        ass_re=(matches * quotient(matches, gt_lengths)).sum(axis=(1, 2)),
        ass_pr=(matches * quotient(matches, lengths)).sum(axis=(1, 2)),
        loc=loc,
    )


def _alignment(similarity: np.ndarray, lengths: np.ndarray, gt_lengths: np.ndarray) -> np.ndarray:
    """``A(d, g)``, [D, G]."""
    rivals = similarity.sum(axis=0)[None] + similarity.sum(axis=1)[:, None] - similarity
    common = quotient(similarity, rivals).sum(axis=2)
    return quotient(common, lengths + gt_lengths - common)
