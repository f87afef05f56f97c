"""Video AP and AR, collected one video at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.evaluation.accumulate import accumulate
from cvis.evaluation.check import check_masks, check_track
from cvis.evaluation.match import Block, match
from cvis.evaluation.overlap import mask_areas, mean_areas, track_ious
from cvis.evaluation.protocol import MAX_DETECTIONS
from cvis.evaluation.result import Result
from cvis.types import RLE, Track, Tracks, Video


class VideoAP:
    """The official YouTube-VIS AP and AR.

    ``add`` reduces the masks of one video to IoUs and areas at once, so memory does not grow with them;
    ``result`` matches and accumulates. The order of the videos does not matter.

    Deliberate differences from the official evaluator: malformed predictions raise (see
    :mod:`cvis.evaluation.check`), no predictions at all give 0 instead of a crash, and a ground-truth track
    with id 0 can be found. Annotated tracks that are null in every frame are left out when the file is read:
    they can never be found, and the official rule counts them as missed.

    Args:
        ground_truth: videos and annotated tracks.
        classes: data-set ids to evaluate (default: every category); predictions of others are left out.

    >>> from pathlib import Path
    >>> from pycocotools import mask as rle
    >>> from cvis.types import Category
    >>> square = rle.encode(np.asfortranarray(np.eye(4, dtype=np.uint8)))
    >>> video = Video(7, "walk", height=4, width=4, frames=(Path("0.jpg"), Path("1.jpg")))
    >>> track = Track(0, 7, category_id=3, segmentations=(square, None), areas=(4.0, 0.0))
    >>> gt = VideoSet((Category(3, "dog"), Category(5, "cat")), (video,), {7: (track,)}, sha256="")
    >>> metric = VideoAP(gt)
    >>> metric.add(Tracks(7, category_ids=(3,), scores=(0.9,), segmentations=((square, None),)))
    >>> metric.result().summary()["AR1"], metric.result().per_class()[5]["AR1"]
    (100.0, None)
    """

    def __init__(self, ground_truth: VideoSet, classes: Collection[int] | None = None) -> None:
        self.ground_truth = ground_truth
        self._known = frozenset(category.id for category in ground_truth.categories)
        self.classes = tuple(sorted(self._known if classes is None else set(classes)))
        if not self.classes:
            raise UserError("classes: none: nothing to evaluate; name at least one class of the ground truth")
        if unknown := sorted(set(self.classes) - self._known):
            known = ", ".join(map(str, sorted(self._known)))
            raise UserError(f"classes: {unknown[0]}: not in the ground truth; use some of {known}")
        self._blocks: dict[int, list[Block]] = {}

    def add(self, tracks: Tracks) -> None:
        """Take in all predictions of one video.

        Raises:
            UserError: an unknown or repeated video, or a malformed track; names the video, track and field.
        """
        video = self.ground_truth.by_id.get(tracks.video_id)
        if video is None:
            raise UserError(f"video {tracks.video_id}: video_id: not in the ground truth; use its video ids")
        if video.id in self._blocks:
            raise UserError(f"video {video.id}: video_id: added twice; add all tracks of a video at once")
        if not len(tracks.scores) == len(tracks.category_ids) == len(tracks.segmentations):
            lengths = f"{len(tracks.category_ids)}, {len(tracks.scores)}, {len(tracks.segmentations)}"
            raise UserError(
                f"video {video.id}: category_ids, scores, segmentations: of lengths {lengths}; "
                "give one of each per track"
            )
        fields = zip(tracks.category_ids, tracks.scores, tracks.segmentations, strict=True)
        for n, (category_id, score, masks) in enumerate(fields):
            check_track(f"video {video.id}: track {n}", video, category_id, score, masks, self._known)
        self._blocks[video.id] = self._compare(video, tracks)

    @property
    def missing_videos(self) -> tuple[int, ...]:
        """Videos of the ground truth not added yet; they count as videos without predictions."""
        return tuple(v.id for v in self.ground_truth.videos if v.id not in self._blocks)

    def result(self) -> Result:
        """Evaluate what was added."""
        rows: dict[int, list[Block]] = {category_id: [] for category_id in self.classes}
        for video in sorted(self.ground_truth.videos, key=lambda v: v.id):
            blocks = self._blocks.get(video.id)
            for block in self._compare(video, Tracks(video.id, (), (), ())) if blocks is None else blocks:
                rows[block.category_id].append(block)
        curves = [accumulate([match(block) for block in rows[c]]) for c in self.classes]
        precision = np.stack([p for p, _ in curves], axis=2)
        recall = np.stack([r for _, r in curves], axis=1)
        return Result(self.classes, precision, recall, self.missing_videos)

    def _compare(self, video: Video, tracks: Tracks) -> list[Block]:
        wanted = set(self.classes)
        annotated = [t for t in self.ground_truth.tracks[video.id] if t.category_id in wanted]
        present = {t.category_id for t in annotated} | (set(tracks.category_ids) & wanted)
        return [
            compare(
                video,
                category_id,
                [n for n, c in enumerate(tracks.category_ids) if c == category_id],
                tracks,
                [t for t in annotated if t.category_id == category_id],
            )
            for category_id in sorted(present)
        ]


def compare(video: Video, category_id: int, own: Sequence[int], tracks: Tracks, annotated: Sequence[Track]) -> Block:
    """Reduce one class of one video to numbers: scores, areas and IoUs of its 100 best detections.

    Args:
        own: indices into ``tracks`` of this class's detections.
        annotated: this class's ground truth in the video.

    Raises:
        UserError: a mask of the ground truth does not fit its video.
    """
    scores = np.array([tracks.scores[n] for n in own], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")[: MAX_DETECTIONS[-1]]
    detections = [tracks.segmentations[own[i]] for i in order]
    areas = _areas_within(video, f"video {video.id}: predicted class {category_id}", detections)
    if detections and annotated:
        masks = [t.segmentations for t in annotated]
        for track in annotated:
            check_masks(f"video {video.id}: ground-truth track {track.id}", video, track.segmentations)
        ious = track_ious(detections, masks, areas, mask_areas(masks, len(video)))
    else:
        ious = np.zeros((len(detections), len(annotated)))
    return Block(
        video_id=video.id,
        category_id=category_id,
        scores=scores[order],
        areas=mean_areas(areas),
        gt_areas=mean_areas(np.array([t.areas for t in annotated], dtype=np.float64)),
        gt_crowd=np.array([t.iscrowd for t in annotated], dtype=bool),
        ious=ious,
    )


def _areas_within(video: Video, where: str, tracks: Sequence[Sequence[RLE | None]]) -> np.ndarray:
    areas = mask_areas(tracks, len(video))
    if areas.size and areas.max() > video.height * video.width:
        raise UserError(
            f"{where}: segmentations.counts: a mask of {areas.max():.0f} pixels in frames of "
            f"{video.height} x {video.width}; the run lengths are damaged, encode the masks again"
        )
    return areas
