"""HOTA and IDF1 of predicted tracks, collected one video at a time. Needs scipy, unlike the rest of the evaluator."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.evaluation.check import check_masks, check_tracks, chosen_classes
from cvis.evaluation.digest import Selection
from cvis.evaluation.hota import HOTACounts, count_hota
from cvis.evaluation.idf1 import IDCounts, count_ids
from cvis.evaluation.overlap import intersections, mask_areas
from cvis.types import Track, Tracks

MIN_SCORE = 0.5
"""The default of ``min_score``. A softmax gives more than half to one class at most, so with it no query of a
segmenter enters as tracks of two classes, and none that "no object" suits better."""


class Counts(NamedTuple):
    """Of one class in one video, or of any number of them."""

    hota: HOTACounts
    ids: IDCounts

    def scores(self) -> dict[str, float | None]:
        """The eleven identity numbers, x100."""
        both = {**self.hota.scores(), **self.ids.scores()}
        return {name: None if value is None else 100 * value for name, value in both.items()}


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
        return {name: _mean(row[name] for row in rows) for name in _NONE.scores()}

    def pooled(self, classes: Collection[int] | None = None) -> dict[str, float | None]:
        """The numbers of all detections of ``classes`` counted together: frequent classes weigh more.

        As in :meth:`summary`, classes without ground truth, and predictions of them, are left out.
        """
        chosen = (self.counts[c] for c in self._chosen(classes))
        return _sum(counts for counts in chosen if counts.ids.num_gt).scores()

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
    >>> from cvis.types import Category, Video
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
        self._known = frozenset(category.id for category in ground_truth.categories)
        self.classes = chosen_classes(classes, self._known, "in the ground truth")
        self._counts: dict[int, dict[int, Counts]] = {}  # video -> class

    def add(self, tracks: Tracks) -> None:
        """Take in all predictions of one video.

        Raises:
            UserError: as :meth:`cvis.evaluation.VideoAP.add`.
        """
        video = check_tracks(tracks, self.ground_truth, self._known, self._counts)
        self._counts[video.id] = self._count(tracks)

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
        counts = {c: _sum(video[c] for video in per_video if c in video) for c in self.classes}
        return IdentityResult(counts, self.min_score)

    def _count(self, tracks: Tracks) -> dict[int, Counts]:
        annotated = [t for t in self.ground_truth.tracks[tracks.video_id] if not t.iscrowd]
        sure = [n for n, score in enumerate(tracks.scores) if score >= self.min_score]
        present = {t.category_id for t in annotated} | {tracks.category_ids[n] for n in sure}
        return {
            category_id: self._compare(
                tracks,
                [n for n in sure if tracks.category_ids[n] == category_id],
                [t for t in annotated if t.category_id == category_id],
            )
            for category_id in sorted(present & set(self.classes))
        }

    def _compare(self, tracks: Tracks, chosen: Sequence[int], annotated: Sequence[Track]) -> Counts:
        video = self.ground_truth.by_id[tracks.video_id]
        for track in annotated:
            check_masks(f"video {video.id}: ground-truth track {track.id}", video, track.segmentations)
        masks, gt_masks = [tracks.segmentations[n] for n in chosen], [t.segmentations for t in annotated]
        areas, gt_areas = mask_areas(masks, len(video)), mask_areas(gt_masks, len(video))
        common = intersections(masks, gt_masks, areas, gt_areas)
        unions = areas[:, None] + gt_areas[None] - common
        similarity = np.divide(common, unions, out=np.zeros_like(common), where=unions > 0)
        present = areas > 0, gt_areas > 0
        return Counts(count_hota(similarity, *present), count_ids(similarity, *present))


_NONE = Counts(HOTACounts.zero(), IDCounts.zero())


def _sum(counts: Iterable[Counts]) -> Counts:
    return reduce(lambda total, one: Counts(*map(add, total, one)), counts, _NONE)


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
