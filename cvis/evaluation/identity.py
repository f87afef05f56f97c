"""HOTA and IDF1 of predicted tracks, collected one video at a time. Needs scipy, unlike the rest of the evaluator."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.evaluation.check import check_video, chosen_classes
from cvis.evaluation.digest import Selection
from cvis.evaluation.overlap import decode_predicted, frame_overlaps, quotient
from cvis.evaluation.result import mean_of_defined
from cvis.evaluation.targets import targets_of
from cvis.evaluation.tracking import NOTHING, Counts, count
from cvis.types import Tracks

LEFT_OUT = -1  # the class of what takes no part; no category id is negative
MIN_SCORE = 0.5
"""The default of ``min_score``. A softmax gives more than half to one class at most, so with it no query of a
segmenter enters as tracks of two classes, and none that "no object" suits better."""


@dataclass(frozen=True)
class IdentityResult:
    """HOTA, DetA, AssA, DetRe, DetPr, AssRe, AssPr, LocA, IDF1, IDP and IDR of K classes, x100.

    None for a class without ground truth.
    """

    counts: dict[int, Counts]  # class -> over all videos
    min_score: float  # predictions below it were left out

    def summary(self, classes: Collection[int] | None = None) -> dict[str, float | None]:
        """The mean over ``classes`` (default: all) of the numbers of each; classes without any are left out.

        Raises:
            UserError: a class that was not evaluated.
        """
        rows = [self.counts[c].scores() for c in self._chosen(classes)]
        return {name: mean_of_defined(row[name] for row in rows) for name in NOTHING.scores()}

    def pooled(self, classes: Collection[int] | None = None) -> dict[str, float | None]:
        """The numbers of all detections of ``classes`` counted together: frequent classes weigh more.

        As in :meth:`summary`, classes without ground truth, and predictions of them, are left out.
        """
        chosen = (self.counts[c] for c in self._chosen(classes))
        return sum((counts for counts in chosen if counts.num_gt), NOTHING).scores()

    def per_class(self) -> dict[int, dict[str, float | None]]:
        """The numbers of each class."""
        return {category_id: counts.scores() for category_id, counts in self.counts.items()}

    def _chosen(self, classes: Collection[int] | None) -> tuple[int, ...]:
        return chosen_classes(classes, self.counts, "among the evaluated classes")


class Identity:
    """HOTA and IDF1 of mask tracks, class by class.

    Both compare sets of tracks and know no scores, while results of video instance segmentation hold many tracks
    of low score, which AP hardly feels: only those with a score of at least ``min_score`` take part. The numbers
    depend on it; compare methods at the same value, and do not choose it on the test videos.

    ``add`` reduces the masks of one video to counts at once. The order of the videos does not matter. Crowds take
    no part.

    Args:
        ground_truth: videos and annotated tracks.
        classes: data-set ids to evaluate (default: every category).
        min_score: see above.

    >>> from pathlib import Path
    >>> from pycocotools import mask as rle
    >>> from cvis.types import Category, Track, Video
    >>> square = rle.encode(np.asfortranarray(np.eye(4, dtype=np.uint8)))
    >>> video = Video(7, "walk", height=4, width=4, frames=(Path("0.jpg"), Path("1.jpg")))
    >>> track = Track(0, 7, category_id=3, segmentations=(square, square), areas=(4.0, 4.0))
    >>> metric = Identity(VideoSet((Category(3, "dog"),), (video,), {7: (track,)}, sha256=""))
    >>> metric.add(Tracks(7, category_ids=(3, 3), scores=(0.9, 0.8), segmentations=((square, None), (None, square))))
    >>> {name: metric.result().summary()[name] for name in ("HOTA", "DetA", "AssA", "IDF1")}
    {'HOTA': 70.71067811865476, 'DetA': 100.0, 'AssA': 50.0, 'IDF1': 50.0}
    """

    def __init__(
        self, ground_truth: VideoSet, classes: Collection[int] | None = None, min_score: float = MIN_SCORE
    ) -> None:
        self.ground_truth = ground_truth
        self.min_score = min_score
        self.classes = chosen_classes(classes, ground_truth.category_ids, "in the ground truth")
        self._counts: dict[int, dict[int, Counts]] = {}  # video -> class

    def add(self, tracks: Tracks) -> None:
        """Take in all predictions of one video.

        Raises:
            UserError: as :meth:`cvis.evaluation.VideoAP.add`.
        """
        check_video(tracks.video_id, self.ground_truth, self._counts)
        self._counts[tracks.video_id] = self._count(tracks)

    def result(self, videos: Selection = "all") -> IdentityResult:
        """The numbers of what was added; videos not added count as empty.

        Args:
            videos: ``all``; or ``with_gt``, those in which one of the classes is annotated.

        Raises:
            UserError: an unknown selection.
        """
        if videos not in ("all", "with_gt"):
            raise UserError(f"videos: {videos}: no such selection; use all or with_gt")
        wanted = set(self.classes)
        ids = [v.id for v in self.ground_truth.videos if videos == "all" or wanted & self.ground_truth.classes_of(v.id)]
        per_video = [self._counts[i] if i in self._counts else self._count(Tracks(i, (), (), ())) for i in ids]
        counts = {c: sum((video[c] for video in per_video if c in video), NOTHING) for c in self.classes}
        return IdentityResult(counts, self.min_score)

    def _count(self, tracks: Tracks) -> dict[int, Counts]:
        predicted = decode_predicted(tracks, self.ground_truth)
        targets = targets_of(self.ground_truth)
        annotated = targets.masks(self.ground_truth.by_id[tracks.video_id])
        here = targets.of(tracks.video_id)
        categories = np.where(np.array(tracks.scores) >= self.min_score, tracks.category_ids, LEFT_OUT)
        gt_categories = np.where(targets.crowd[here], LEFT_OUT, targets.category[here])
        counts = {}
        for category_id in sorted({*categories.tolist(), *gt_categories.tolist()} & {*self.classes}):
            d, g = np.flatnonzero(categories == category_id), np.flatnonzero(gt_categories == category_id)
            similarity = quotient(*frame_overlaps(predicted, annotated, d, g))
            counts[category_id] = count(similarity, predicted.areas[d] > 0, annotated.areas[g] > 0)
        return counts
