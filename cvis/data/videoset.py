"""A set of annotated videos, and its parts: the value that the scenario engine slices."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from cvis.types import Category, Track, Video


@dataclass(frozen=True)
class VideoSet:
    """Videos and their annotated tracks, with the data set's own ids throughout.

    Attributes:
        categories: every category of the annotation file, in its order, also those without a track here.
        videos: sorted by id.
        tracks: video id -> tracks of that video; ``()`` for a video without any.
        sha256: of the annotation file; a part's is derived from its parent's and the selection.
    """

    categories: tuple[Category, ...]
    videos: tuple[Video, ...]
    tracks: Mapping[int, tuple[Track, ...]]
    sha256: str

    def __len__(self) -> int:
        return len(self.videos)

    @cached_property
    def by_id(self) -> dict[int, Video]:
        return {video.id: video for video in self.videos}

    @cached_property
    def category_ids(self) -> frozenset[int]:
        return frozenset(category.id for category in self.categories)

    @property
    def all_tracks(self) -> Iterator[Track]:
        """The tracks of all videos."""
        return (track for video in self.videos for track in self.tracks[video.id])

    @property
    def num_tracks(self) -> int:
        return sum(1 for _ in self.all_tracks)

    def classes_of(self, video_id: int) -> frozenset[int]:
        """Category ids annotated in a video."""
        return frozenset(track.category_id for track in self.tracks[video_id])

    def select(self, video_ids: Iterable[int]) -> VideoSet:
        """The part with these videos.

        Raises:
            KeyError: an id is not in the set.
        """
        wanted = sorted(set(video_ids))
        videos = tuple(self.by_id[i] for i in wanted)
        tracks = {i: self.tracks[i] for i in wanted}
        return replace(self, videos=videos, tracks=tracks, sha256=_derive(self.sha256, "select", wanted))

    def with_tracks(self, tracks: Mapping[int, tuple[Track, ...]], why: str) -> VideoSet:
        """The same videos with other tracks; ``why`` enters the checksum."""
        full = {video.id: tuple(tracks.get(video.id, ())) for video in self.videos}
        seen = [(v, t.id, t.category_id) for v, annotated in full.items() for t in annotated]
        return replace(self, tracks=full, sha256=_derive(self.sha256, why, seen))

    def slice_frames(self, ranges: Mapping[int, tuple[int, int]]) -> VideoSet:
        """Only the frames ``start <= t < stop`` of each named video; tracks absent from them are dropped."""
        videos, tracks = [], {}
        for video_id in sorted(ranges):
            start, stop = ranges[video_id]
            video = self.by_id[video_id]
            videos.append(replace(video, frames=video.frames[start:stop]))
            cut = (
                replace(t, segmentations=t.segmentations[start:stop], areas=t.areas[start:stop])
                for t in self.tracks[video_id]
            )
            tracks[video_id] = tuple(t for t in cut if any(s is not None for s in t.segmentations))
        checksum = _derive(self.sha256, "frames", sorted(ranges.items()))
        return replace(self, videos=tuple(videos), tracks=tracks, sha256=checksum)

    def __or__(self, other: VideoSet) -> VideoSet:
        """Union: videos of both, tracks of both; a track in both appears once, as in ``other``.

        So an annotation that a replay memory holds takes the place of what a step's policy left of it.
        """
        videos = {**other.by_id, **self.by_id}
        tracks: dict[int, tuple[Track, ...]] = {}
        for video_id in videos:
            merged = {t.id: t for t in (*self.tracks.get(video_id, ()), *other.tracks.get(video_id, ()))}
            tracks[video_id] = tuple(merged[i] for i in sorted(merged))
        ordered = tuple(videos[i] for i in sorted(videos))
        checksum = _derive(self.sha256, "union", other.sha256)
        return replace(self, videos=ordered, tracks=tracks, sha256=checksum)

    def num_tracks_of(self, category_ids: Collection[int]) -> int:
        """How many tracks belong to these categories."""
        wanted = set(category_ids)
        return sum(track.category_id in wanted for track in self.all_tracks)


def _derive(sha256: str, operation: str, detail: object) -> str:
    return hashlib.sha256(f"{sha256} {operation} {detail}".encode()).hexdigest()
