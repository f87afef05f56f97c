"""Where AP is lost: what each kind of error costs, as the AP50 with this kind corrected, minus the AP50."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from cvis.data.videoset import VideoSet
from cvis.evaluation.ap import VideoAP
from cvis.evaluation.error_kinds import CORRECTABLE, IGNORED, KINDS, NONE, RIGHT, classify, compare
from cvis.evaluation.protocol import RECALLS
from cvis.evaluation.result import mean_of_defined
from cvis.types import Tracks


@dataclass(frozen=True)
class Losses:
    """What one class has and loses, x100, not rounded. The losses of the kinds do not add up to 100 - AP50.

    ``None`` where the class has no ground truth.
    """

    ap: float | None
    ap50: float | None
    num_gt: int  # annotated tracks without crowds
    counts: dict[str, int]  # kind -> detections of this class; "missed": its annotated tracks
    dap50: dict[str, float | None]  # kind -> AP50 with this kind corrected, in all classes, minus AP50


@dataclass(frozen=True)
class Explanation:
    """Where AP is lost, per class and on average.

    Attributes:
        mean: means over the classes with ground truth, sums of the counts.
    """

    per_class: dict[int, Losses]
    mean: Losses
    missing_videos: tuple[int, ...] = ()

    def worst_first(self) -> list[int]:
        """The classes with ground truth, by falling lost AP."""
        aps = {c: losses.ap for c, losses in self.per_class.items() if losses.ap is not None}
        return sorted(aps, key=lambda c: aps[c])

    def as_json(self) -> dict[str, Any]:
        return {
            "mean": asdict(self.mean),
            "per_class": {str(c): asdict(losses) for c, losses in self.per_class.items()},
            "missing_videos": list(self.missing_videos),
        }


@dataclass(frozen=True)
class Ledger:
    """Every detection (N) and annotated track (G) of an evaluation, by ascending video id."""

    classes: np.ndarray  # [N]
    scores: np.ndarray  # [N]
    kinds: np.ndarray  # [N], str
    targets: np.ndarray  # [N], index of a track, or -1
    gt_classes: np.ndarray  # [G]
    gt_counts: np.ndarray  # [G] bool: not a crowd
    gt_open: np.ndarray  # [G] bool: not found, no crowd
    gt_missed: np.ndarray  # [G] bool


def explain(ground_truth: VideoSet, tracks: Iterable[Tracks], classes: Collection[int] | None = None) -> Explanation:
    """Say for each class what its AP is lost to; the kinds are defined in :mod:`cvis.evaluation.error_kinds`.

    The correction of a kind (TIDE, section 2.3) is made in all classes at once:

    - **wrong_class, poor_masks, broken, switched**: the detection becomes right, with its score, in the class
      of the track it means, unless this track is found already or a surer detection of this kind means it
      too; then it is removed.
    - **duplicate, background, both**: the detection is removed.
    - **missed**: the track is not counted. A class of which every track is missed then has AP50 100.

    A correction can only be judged against the other errors as they stand, so the losses do not add up.
    Memory holds the masks of one video at a time.

    Args:
        tracks: at most one value per video, in any order; videos without any count as empty.
        classes: data-set ids to report (default: every category). All classes are always compared, else a
            class mistaken for one that is not asked for would look missed.

    Raises:
        UserError: see :class:`cvis.evaluation.VideoAP`.
    """
    wanted = VideoAP(ground_truth, classes).classes
    metric = VideoAP(ground_truth)
    pages = {}
    for predicted in tracks:
        metric.add(predicted)
        pages[predicted.video_id] = _page(ground_truth, predicted)
    for video in ground_truth.videos:
        if video.id not in pages:
            pages[video.id] = _page(ground_truth, Tracks(video.id, (), (), ()))
    result = metric.result()
    ledger = _bind([pages[video_id] for video_id in sorted(pages)])
    after = {kind: corrected(ledger, kind) for kind in KINDS}
    aps = result.per_class()
    per_class = {c: _losses(ledger, c, aps[c]["AP"], after) for c in wanted}
    total = result.summary(wanted)
    mean = _mean(list(per_class.values()), total["mAP"], total["AP50"])
    return Explanation(per_class, mean, result.missing_videos)


def corrected(ledger: Ledger, kind: str) -> Ledger:
    """The ledger with one kind of error corrected."""
    if kind == "missed":
        return replace(ledger, gt_counts=ledger.gt_counts & ~ledger.gt_missed)
    of_kind = np.flatnonzero(ledger.kinds == kind)
    classes, kinds = ledger.classes.copy(), ledger.kinds.copy()
    kinds[of_kind] = IGNORED  # neither right nor wrong: as if it were not there
    if kind in CORRECTABLE:
        open_ = ledger.gt_open.copy()
        for d in of_kind[np.argsort(-ledger.scores[of_kind], kind="stable")]:
            target = ledger.targets[d]
            if open_[target]:
                open_[target] = False
                kinds[d], classes[d] = RIGHT, ledger.gt_classes[target]
    return replace(ledger, classes=classes, kinds=kinds)


def ap50(ledger: Ledger, category_id: int) -> float | None:
    """The official AP at IoU 0.5 of one class, x100; None without ground truth."""
    num_gt = np.count_nonzero(ledger.gt_counts & (ledger.gt_classes == category_id))
    if not num_gt:
        return None
    counted = np.flatnonzero((ledger.classes == category_id) & (ledger.kinds != IGNORED))
    ranking = counted[np.argsort(-ledger.scores[counted], kind="stable")]
    return 100 * _average_precision(ledger.kinds[ranking] == RIGHT, num_gt)


def _average_precision(right: np.ndarray, num_gt: int) -> float:
    """Area under the interpolated precision-recall curve of a ranking [N] bool, read at 101 recalls."""
    hits = np.cumsum(right, dtype=np.float64)
    precision = hits / (np.arange(1, len(right) + 1) + np.spacing(1))
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(hits / num_gt, RECALLS)].mean())


def _page(ground_truth: VideoSet, tracks: Tracks) -> Ledger:
    """The ledger of one video."""
    overlaps = compare(ground_truth, tracks)
    kinds, targets, missed = classify(overlaps)
    counts = ~overlaps.gt_crowd
    detections = (overlaps.classes, overlaps.scores, kinds, targets)
    return Ledger(*detections, overlaps.gt_classes, counts, counts & ~overlaps.found, missed)


def _bind(pages: Sequence[Ledger]) -> Ledger:
    offsets = np.cumsum([0, *(len(page.gt_classes) for page in pages)])
    moved = [
        replace(page, targets=np.where(page.targets == NONE, NONE, page.targets + offset))
        for page, offset in zip(pages, offsets[:-1], strict=True)
    ]
    joined = {f.name: np.concatenate([getattr(page, f.name) for page in moved]) for f in fields(Ledger)}
    return Ledger(**joined)


def _losses(ledger: Ledger, category_id: int, ap: float | None, after: Mapping[str, Ledger]) -> Losses:
    of_class, gt_of_class = ledger.classes == category_id, ledger.gt_classes == category_id
    counts = {kind: int(np.count_nonzero(of_class & (ledger.kinds == kind))) for kind in KINDS}
    counts["missed"] = int(np.count_nonzero(gt_of_class & ledger.gt_missed))
    before = ap50(ledger, category_id)
    gains: dict[str, float | None] = dict.fromkeys(KINDS)
    if before is not None:
        for kind in KINDS:
            better = ap50(after[kind], category_id)
            gains[kind] = (100.0 if better is None else better) - before  # None: every track was missed
    return Losses(ap, before, int(np.count_nonzero(gt_of_class & ledger.gt_counts)), counts, gains)


def _mean(losses: Sequence[Losses], ap: float | None, ap50: float | None) -> Losses:
    return Losses(
        ap=ap,
        ap50=ap50,
        num_gt=sum(one.num_gt for one in losses),
        counts={kind: sum(one.counts[kind] for one in losses) for kind in KINDS},
        dap50={kind: mean_of_defined(one.dap50[kind] for one in losses) for kind in KINDS},
    )
