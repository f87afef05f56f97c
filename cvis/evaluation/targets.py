"""The annotated tracks of a video set, decoded when they are first compared and kept while the set lives.

A run evaluates one set after every step; only the first evaluation pays for the ground truth.
"""

from __future__ import annotations

import weakref

import numpy as np

from cvis.data.track_masks import TrackMasks
from cvis.data.videoset import VideoSet
from cvis.evaluation.check import check_masks
from cvis.evaluation.overlap import decode, mean_areas
from cvis.types import Video

_DECODED = 512  # videos of a set whose masks are kept decoded; a results file may come back to any of them


class Targets:
    """The G annotated tracks of all videos, by ascending video id."""

    def __init__(self, ground_truth: VideoSet) -> None:
        self._tracks = ground_truth.tracks  # not the set itself: its end is the end of this
        self._masks: dict[int, TrackMasks] = {}
        self.videos = np.array(sorted(video.id for video in ground_truth.videos), np.int64)  # [V]
        per_video = [self._tracks[i] for i in self.videos.tolist()]
        tracks = [track for annotated in per_video for track in annotated]
        self.video = np.repeat(self.videos, [len(annotated) for annotated in per_video])  # int64 [G]
        self.category = np.array([t.category_id for t in tracks], np.int64)  # [G]
        self.area = np.concatenate([np.zeros(0), *(mean_areas(np.array([t.areas])) for t in tracks)])  # float64 [G]
        self.crowd = np.array([t.iscrowd for t in tracks], dtype=bool)  # [G]

    def of(self, video_id: int) -> slice:
        """The tracks of a video among all."""
        return slice(*np.searchsorted(self.video, [video_id, video_id + 1]).tolist())

    def masks(self, video: Video) -> TrackMasks:
        """The masks of a video's tracks.

        Raises:
            UserError: a mask does not fit the video.
        """
        if video.id not in self._masks:
            tracks = self._tracks[video.id]
            segmentations = [track.segmentations for track in tracks]
            names = [f"video {video.id}: ground-truth track {track.id}" for track in tracks]
            for name, masks in zip(names, segmentations, strict=True):
                check_masks(name, video, masks)
            if len(self._masks) == _DECODED:
                self._masks.pop(next(iter(self._masks)))
            self._masks[video.id] = decode(video, segmentations, names.__getitem__)
        return self._masks[video.id]


_KEPT: dict[int, Targets] = {}


def targets_of(ground_truth: VideoSet) -> Targets:
    """The targets of a set, the same object as long as the set lives."""
    key = id(ground_truth)
    if key not in _KEPT:
        _KEPT[key] = Targets(ground_truth)
        weakref.finalize(ground_truth, _KEPT.pop, key, None)
    return _KEPT[key]
