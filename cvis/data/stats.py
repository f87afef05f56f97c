"""What a set of videos holds: of each class how many tracks, how long, how large; and which classes come together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement
from statistics import median
from typing import Any

from cvis.data.videoset import VideoSet
from cvis.types import Track

SMALL, MEDIUM = 128**2, 256**2
"""Pixels, mean area of a track: the borders of YouTube-VIS's APs, APm and APl."""


@dataclass(frozen=True)
class ClassStats:
    """Of one class.

    Attributes:
        masks: tracks times frames in which they are visible.
        length: frames in which a track is visible, the median.
        area: of a mask, as a share of its frame, the median.
        sizes: tracks that are small, medium and large.
        crowds: tracks of crowds among them.
    """

    name: str
    videos: int
    tracks: int
    masks: int
    length: float | None
    area: float | None
    sizes: tuple[int, int, int]
    crowds: int


@dataclass(frozen=True)
class Stats:
    """Of a set.

    Attributes:
        lengths: frames of a video -> how many videos.
        together: [K, K], of how many videos show both classes; on the diagonal, the one class.
    """

    videos: int
    frames: int
    empty: int  # videos without a track
    lengths: dict[int, int]
    sizes: dict[str, int]  # "1280x720" -> how many videos
    classes: tuple[ClassStats, ...]
    together: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """In JSON's own types."""
        return asdict(self)

    def companion(self, index: int) -> tuple[str, int] | None:
        """The class that most often comes with one, and in how many videos."""
        others = [(n, i) for i, n in enumerate(self.together[index]) if i != index and n]
        if not others:
            return None
        most, other = max(others, key=lambda pair: (pair[0], -pair[1]))
        return self.classes[other].name, most


def stats(videos: VideoSet) -> Stats:
    """Count what is in a set."""
    pairs: Counter[tuple[int, int]] = Counter()
    for video in videos.videos:
        pairs.update(combinations_with_replacement(sorted(videos.classes_of(video.id)), 2))
    ids = [category.id for category in videos.categories]
    of_class: dict[int, list[Track]] = {i: [] for i in ids}
    for track in videos.all_tracks:
        of_class[track.category_id].append(track)
    return Stats(
        videos=len(videos),
        frames=sum(map(len, videos.videos)),
        empty=sum(not videos.tracks[video.id] for video in videos.videos),
        lengths=dict(sorted(Counter(map(len, videos.videos)).items())),
        sizes=dict(Counter(f"{video.width}x{video.height}" for video in videos.videos).most_common()),
        classes=tuple(_of_class(c.name, pairs[c.id, c.id], of_class[c.id], videos) for c in videos.categories),
        together=tuple(tuple(pairs[min(a, b), max(a, b)] for b in ids) for a in ids),
    )


def _of_class(name: str, shown_in: int, tracks: Sequence[Track], videos: VideoSet) -> ClassStats:
    visible = [[area for area, mask in zip(t.areas, t.segmentations, strict=True) if mask] for t in tracks]
    whole = [videos.by_id[t.video_id].height * videos.by_id[t.video_id].width for t in tracks]
    shares = [area / pixels for areas, pixels in zip(visible, whole, strict=True) for area in areas]
    means = [sum(areas) / len(areas) for areas in visible]
    small, large = sum(mean < SMALL for mean in means), sum(mean >= MEDIUM for mean in means)
    return ClassStats(
        name=name,
        videos=shown_in,
        tracks=len(tracks),
        masks=len(shares),
        length=median(len(areas) for areas in visible) if tracks else None,
        area=median(shares) if shares else None,
        sizes=(small, len(means) - small - large, large),
        crowds=sum(track.iscrowd for track in tracks),
    )
