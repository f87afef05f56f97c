"""Several sets of videos as one, and a part of one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace

from cvis.data.dataset import plain_name
from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.types import Category, Track, Video
from cvis.validation import did_you_mean


def merge(sets: Sequence[VideoSet]) -> VideoSet:
    """The videos of all sets. Classes of one name are one class; of two ids the first has it, other things count anew.

    A class keeps its id unless an earlier set uses it for another one; videos and tracks are numbered from 1.
    """
    ids: dict[str, int] = {}
    categories: list[Category] = []
    videos: list[Video] = []
    tracks: dict[int, tuple[Track, ...]] = {}
    number = 0
    for part in sets:
        to = {}
        for category in part.categories:
            name = plain_name(category.name)
            if name not in ids:
                taken = set(ids.values())
                ids[name] = category.id if category.id not in taken else max(taken) + 1
                categories.append(Category(ids[name], category.name))
            to[category.id] = ids[name]
        for video in part.videos:
            videos.append(replace(video, id=len(videos) + 1))
            own = []
            for track in part.tracks[video.id]:
                number += 1
                own.append(replace(track, id=number, video_id=len(videos), category_id=to[track.category_id]))
            tracks[len(videos)] = tuple(own)
    return VideoSet(tuple(categories), tuple(videos), tracks, sha256="")


def subset(
    videos: VideoSet, classes: Collection[str] = (), names: Collection[str] = (), share: float = 1.0, seed: int = 0
) -> VideoSet:
    """A part of a set; ids stay.

    Args:
        classes: only these, and the videos that show one of them; empty: all.
        names: only these videos, by name or id; empty: all.
        share: of the videos that are left, drawn by the sha256 of seed and id: the same on every machine.

    Raises:
        UserError: an unknown class or video, a share out of range, or nothing is left.
    """
    if not 0 < share <= 1:
        raise UserError(f"--share {share:g}: is not above 0 and up to 1; choose one, for instance 0.1")
    if classes:
        videos = _of_classes(videos, classes)
    if names:
        videos = videos.select(_video(videos, name) for name in names)
    if share < 1:
        drawn = sorted(videos.by_id, key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).hexdigest())
        videos = videos.select(drawn[: round(share * len(drawn))])
    if not videos.videos:
        raise UserError("no video is left; ask for more classes, videos or a larger share")
    return videos


def _of_classes(videos: VideoSet, classes: Collection[str]) -> VideoSet:
    known = {plain_name(category.name): category for category in videos.categories}
    for name in classes:
        if plain_name(name) not in known:
            names = [category.name for category in videos.categories]
            raise UserError(f"--classes {name}: there is no such class; {did_you_mean(name, names)}")
    wanted = {plain_name(name) for name in classes}
    kept = tuple(category for category in videos.categories if plain_name(category.name) in wanted)
    ids = {category.id for category in kept}
    tracks = {i: tuple(t for t in own if t.category_id in ids) for i, own in videos.tracks.items()}
    shown = videos.with_tracks(tracks, "classes").select(i for i, own in tracks.items() if own)
    return replace(shown, categories=kept)


def _video(videos: VideoSet, name: str) -> int:
    found = [video.id for video in videos.videos if name in (video.name, str(video.id))]
    if not found:
        hint = did_you_mean(name, [video.name for video in videos.videos])
        raise UserError(f"--videos {name}: there is no video of this name or id; {hint}")
    return found[0]
