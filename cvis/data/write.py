"""A set of videos as a folder in the format of YouTube-VIS: ``instances.json``, masks as compressed RLE, and frames."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.types import RLE, Track, Video

ANNOTATIONS, FRAMES = "instances.json", "JPEGImages"


def write_set(videos: VideoSet, folder: Path, copy: bool = False) -> None:
    """Write ``instances.json`` and ``JPEGImages/<video>/<frame>`` into a folder that is nobody's yet.

    Args:
        videos: frames as paths. Those below ``folder`` move to their place.
        copy: copy the others; else they are links.

    Raises:
        UserError: a frame does not exist, or the file system knows no links.
        OSError: it refuses the write.
    """
    names = dict(zip((v.id for v in videos.videos), _names(videos), strict=True))
    for video in videos.videos:
        for frame, name in zip(video.frames, names[video.id], strict=True):
            _place(frame, folder / FRAMES / name, folder, copy)
    listed = [{"id": v.id, "name": v.name, **_shape(v), "file_names": names[v.id]} for v in videos.videos]
    by_id = videos.by_id
    content = {
        "info": {"description": "written by cvis"},
        "categories": [{"id": c.id, "name": c.name} for c in videos.categories],
        "videos": listed,
        "annotations": [_annotation(track, by_id[track.video_id]) for track in videos.all_tracks],
    }
    (folder / ANNOTATIONS).write_text(json.dumps(content), encoding="utf-8")


def thinned(videos: VideoSet, every: int) -> VideoSet:
    """Every n-th frame; tracks that are absent from all of these are left out."""
    if every == 1:
        return videos
    kept = tuple(replace(v, frames=v.frames[::every]) for v in videos.videos)
    tracks = {}
    for video in videos.videos:
        fewer = (
            replace(t, segmentations=t.segmentations[::every], areas=t.areas[::every]) for t in videos.tracks[video.id]
        )
        tracks[video.id] = tuple(t for t in fewer if any(t.segmentations))
    return replace(videos, videos=kept, tracks=tracks)


def _shape(video: Video) -> dict[str, int]:
    return {"height": video.height, "width": video.width, "length": len(video)}


def _annotation(track: Track, video: Video) -> dict[str, Any]:
    masks = track.segmentations
    return {
        "id": track.id,
        "video_id": track.video_id,
        "category_id": track.category_id,
        "iscrowd": int(track.iscrowd),
        **_shape(video),
        "segmentations": [code and {"size": code["size"], "counts": code["counts"].decode("ascii")} for code in masks],
        "bboxes": [code and _box(code) for code in masks],
        "areas": [area if code else None for area, code in zip(track.areas, masks, strict=True)],
    }


def _box(code: RLE) -> list[float]:
    return [float(side) for side in coco.toBbox(code)]


def _names(videos: VideoSet) -> Iterator[list[str]]:
    """Of each video, names of its frames below the folder of all: a folder for each, and no two alike."""
    taken: set[str] = set()
    for video in videos.videos:
        folder = re.sub(r"[^\w.+-]+", "_", video.name).strip("._")[:100] or "video"
        if folder.lower() in taken:
            folder = f"{folder}-{video.id}"
        while folder.lower() in taken:
            folder += "-"
        taken.add(folder.lower())
        files = [frame.name for frame in video.frames]
        if len({file.lower() for file in files}) < len(files):
            files = [f"{t:06d}{frame.suffix}" for t, frame in enumerate(video.frames)]
        yield [f"{folder}/{file}" for file in files]


def _place(frame: Path, target: Path, folder: Path, copy: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not frame.is_file():
        raise UserError(f"{frame}: this frame does not exist; correct the frames' folder")
    if frame.is_relative_to(folder):
        os.replace(frame, target)
    elif copy:
        shutil.copyfile(frame, target)
    else:
        try:
            target.symlink_to(frame.resolve())
        except OSError as error:
            raise UserError(f"{target}: cannot be a link ({error}); copy the frames instead: --copy") from error
