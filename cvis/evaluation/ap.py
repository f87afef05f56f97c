"""Video AP and AR, collected one video at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvis.data.track_masks import TrackMasks
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError
from cvis.evaluation.check import check_bitmaps, check_label, check_video, chosen_classes
from cvis.evaluation.digest import Digest, Selection, ordered
from cvis.evaluation.match import Pairs, joined
from cvis.evaluation.overlap import BitMasks, decode_predicted, mean_areas, pair_ious
from cvis.evaluation.result import Result
from cvis.evaluation.results import entry_name, stream_results
from cvis.evaluation.targets import targets_of
from cvis.types import Tracks, Video


class Detections(NamedTuple):
    """Detections of one video, in the order in which they came."""

    category: np.ndarray  # int64 [N]
    score: np.ndarray  # float64 [N]
    area: np.ndarray  # float64 [N], mean pixels
    pairs: Pairs  # track: index among all tracks of the ground truth


class VideoAP:
    """The official YouTube-VIS AP and AR.

    Masks are reduced to areas and IoUs as they come, so memory does not grow with them. The order of the videos
    does not matter. Several processes may each take a part of the videos and merge their :meth:`digest`.

    Deliberate differences from the official evaluator: malformed predictions raise (see
    :mod:`cvis.evaluation.check`), no predictions at all give 0 instead of a crash, and a ground-truth track
    with id 0 can be found. Annotated tracks that are null in every frame are left out when the file is read:
    they can never be found, and the official rule counts them as missed.

    Args:
        ground_truth: videos and annotated tracks.
        classes: data-set ids to evaluate (default: every category); predictions of others are left out.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from pycocotools import mask as rle
    >>> from cvis import VideoAP
    >>> from cvis.data.videoset import VideoSet
    >>> from cvis.types import Category, Track, Tracks, Video
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
        self.classes = chosen_classes(classes, ground_truth.category_ids, "in the ground truth")
        if not self.classes:
            raise UserError("classes: none: nothing to evaluate; name at least one class of the ground truth")
        self._wanted = frozenset(self.classes)
        self._targets = targets_of(ground_truth)
        self._detections: dict[int, list[Detections]] = {}

    def add(self, tracks: Tracks) -> None:
        """Take in all predictions of one video.

        The counts of a mask may be bytes or a string.

        Raises:
            UserError: an unknown or repeated video, or a malformed track; names the video, track and field.
        """
        check_video(tracks.video_id, self.ground_truth, self._detections)
        self.extend(tracks)

    def extend(self, tracks: Tracks, where: Callable[[int], str] | None = None) -> None:
        """Take in some predictions of a video, behind those that came before: for files in any order.

        Args:
            where: begins the message about a malformed track, given its index in ``tracks``.

        Raises:
            UserError: an unknown video, or a malformed track; nothing of ``tracks`` is taken then.
        """
        masks = decode_predicted(tracks, self.ground_truth, where)
        video = self.ground_truth.by_id[tracks.video_id]
        compared = self._reduce(video, tracks.category_ids, tracks.scores, masks)
        self._detections.setdefault(video.id, []).append(compared)

    def add_masks(self, video_id: int, category_ids: Sequence[int], scores: Sequence[float], masks: np.ndarray) -> None:
        """Take in all predictions of one video as bitmaps; nothing is encoded.

        Args:
            category_ids: N data-set ids.
            scores: N.
            masks: [N, T, H, W] bool or uint8, at the size of the video.

        Raises:
            UserError: as :meth:`add`.
        """
        video = check_video(video_id, self.ground_truth, self._detections)
        if len(category_ids) != len(scores):
            lengths = f"{len(category_ids)}, {len(scores)}"
            raise UserError(f"video {video.id}: category_ids, scores: of lengths {lengths}; give one of each per track")
        for n, (category_id, score) in enumerate(zip(category_ids, scores, strict=True)):
            check_label(f"video {video.id}: track {n}", category_id, score, self.ground_truth.category_ids)
        masks = np.asarray(masks)
        check_bitmaps(video, len(scores), masks)
        self._detections[video.id] = [self._reduce(video, category_ids, scores, BitMasks(masks))]

    @property
    def missing_videos(self) -> tuple[int, ...]:
        """Videos of the ground truth not added yet; they count as videos without predictions."""
        return tuple(v.id for v in self.ground_truth.videos if v.id not in self._detections)

    def result(self, classes: Collection[int] | None = None, videos: Selection = "all") -> Result:
        """Evaluate what was added; see :meth:`Digest.result`."""
        return self.digest().result(classes, videos)

    def digest(self) -> Digest:
        """What was added, as arrays."""
        targets = self._targets
        videos = targets.videos.tolist()
        evaluated = np.isin(targets.category, self.classes)
        sizes = [sum(len(part.score) for part in self._detections.get(i, ())) for i in videos]
        chunks = [_NOTHING, *(part for i in videos for part in self._detections.get(i, ()))]
        pairs = joined([part.pairs for part in chunks], [len(part.score) for part in chunks])
        return Digest(
            sha256=self.ground_truth.sha256,
            classes=np.array(self.classes, np.int64),
            videos=targets.videos,
            added=np.array([i in self._detections for i in videos], dtype=bool),
            gt_video=targets.video[evaluated],
            gt_class=targets.category[evaluated],
            gt_area=targets.area[evaluated],
            gt_crowd=targets.crowd[evaluated],
            **ordered(
                video=np.repeat(targets.videos, sizes),
                category=np.concatenate([part.category for part in chunks]),
                score=np.concatenate([part.score for part in chunks]),
                area=np.concatenate([part.area for part in chunks]),
                pairs=pairs._replace(track=np.cumsum(evaluated)[pairs.track] - 1),
            ),
        )

    def _reduce(
        self, video: Video, category_ids: Sequence[int], scores: Sequence[float], masks: TrackMasks | BitMasks
    ) -> Detections:
        """Areas of the detections of the evaluated classes, and their IoUs with the tracks of their class."""
        wanted = [n for n, category_id in enumerate(category_ids) if category_id in self._wanted]
        category, score = np.array(category_ids, np.int64)[wanted], np.array(scores, np.float64)[wanted]
        tracks = self._targets.of(video.id)
        d, g = np.nonzero(category[:, None] == self._targets.category[tracks])
        pairs = _NO_PAIRS
        if d.size:
            pairs = pair_ious(masks, self._targets.masks(video), np.array(wanted)[d], g)
            pairs = Pairs(np.searchsorted(wanted, pairs.detection), pairs.track + tracks.start, pairs.iou)
        return Detections(category, score, mean_areas(masks.areas)[wanted], pairs)


def score(
    ground_truth: VideoSet,
    tracks: Iterable[Tracks],
    classes: Collection[int] | None = None,
    videos: Selection = "all",
) -> Result:
    """Evaluate predictions; videos without any count as empty.

    Args:
        tracks: of the videos, in any order; several values of one video are joined as they come.
        classes: data-set ids to evaluate (default: every category of the ground truth).
        videos: see :meth:`cvis.evaluation.Digest.result`.

    Raises:
        UserError: see :meth:`VideoAP.add`.
    """
    metric = VideoAP(ground_truth, classes)
    for part in tracks:
        metric.extend(part)
    return metric.result(videos=videos)


def score_files(
    annotations: Path | str,
    predictions: Path | str,
    classes: Collection[int] | None = None,
    videos: Selection = "all",
) -> Result:
    """Evaluate a results file against an annotation file, both in YouTube-VIS format.

    The results are read entry by entry: memory does not depend on their size, nor on their order.

    Raises:
        UserError: either file is missing, damaged or does not fit the other.
    """
    metric = VideoAP(read_ytvis(Path(annotations), None), classes)
    for first, tracks in stream_results(predictions, metric.ground_truth):
        metric.extend(tracks, where=partial(entry_name, predictions, first))
    return metric.result(videos=videos)


_NO_PAIRS = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
_NOTHING = Detections(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), _NO_PAIRS)
