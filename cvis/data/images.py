"""Images with instance masks in COCO's format, as a :class:`VideoSet` of videos of one frame."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cvis.data.dataset import plain_name
from cvis.data.schema import parse
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import collection_paused, decode, raise_error, read_bytes, rooted
from cvis.errors import Problem
from cvis.types import Category


def read_coco(annotations: Path, images: Path | None = None) -> VideoSet:
    """An annotation file of COCO's format: each image is a video of one frame, each instance a track.

    Args:
        images: the folder that its ``file_name`` are relative to; None: ``images`` or ``JPEGImages`` beside the file,
            else the file's own folder.

    Raises:
        UserError: the file or the folder is missing, or the file is not what it should be; the message names the field
            as if it were a video's.
    """
    folder = images or next(
        (beside for name in ("images", "JPEGImages") if (beside := annotations.parent / name).is_dir()),
        annotations.parent,
    )
    with collection_paused():
        data = read_bytes(annotations)
        raw = decode(data, annotations)
        if not isinstance(raw, dict) or not isinstance(raw.get("images"), list):
            remedy = "give the annotation file of images with masks, as COCO's instances_train2017.json"
            raise Problem(str(annotations), "images", "", "the file has no list of images", remedy).error()
        videos = {**raw, "videos": list(_videos(raw["images"])), "annotations": list(_tracks(raw.get("annotations")))}
        parsed = parse(videos, annotations, hashlib.sha256(data).hexdigest(), raise_error)
    return rooted(folder, parsed)


def _videos(images: Sequence[Any]) -> Iterator[Any]:
    for image in images:
        name = image.get("file_name") if isinstance(image, dict) else None
        yield {**image, "name": name, "file_names": [name]} if isinstance(name, str) else image


def _tracks(annotations: Any) -> Iterator[Any]:
    for record in annotations if isinstance(annotations, list) else ():
        if isinstance(record, dict) and {"image_id", "segmentation"} <= record.keys():
            kept = {key: record[key] for key in ("id", "category_id", "iscrowd") if key in record}
            record = {**kept, "video_id": record["image_id"], "segmentations": [record["segmentation"]]}
        yield record


def in_classes_of(images: VideoSet, categories: Sequence[Category]) -> tuple[VideoSet, list[str]]:
    """The instances whose class has a name of ``categories``, under those ids; names are compared as people write them.

    Returns:
        All images, with no other instances, and the names of the annotated classes that have no match, sorted.
    """
    ids: Mapping[str, int] = {plain_name(category.name): category.id for category in categories}
    same = {c.id: ids[name] for c in images.categories if (name := plain_name(c.name)) in ids}
    tracks = {
        video: tuple(replace(t, category_id=same[t.category_id]) for t in found if t.category_id in same)
        for video, found in images.tracks.items()
    }
    shown = {track.category_id for track in images.all_tracks}
    unmatched = sorted(c.name for c in images.categories if c.id in shown and c.id not in same)
    return replace(images.with_tracks(tracks, "matched by name"), categories=tuple(categories)), unmatched
