"""COCO's layout for videos (CocoVID, TAO): images with a ``video_id``, annotations with an ``instance_id`` or
``track_id``. Frames are ordered by ``frame_id`` or ``frame_index``."""

from __future__ import annotations

from typing import Any

from cvis.data.footage import natural
from cvis.data.formats.coco_file import TRACK_KEYS, plain, read_coco
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Format, Source, need, records
from cvis.data.videoset import VideoSet
from cvis.errors import UserError

_ORDER_KEYS = ("frame_id", "frame_index")


def accepts(source: Source) -> bool:
    raw = source.json
    return isinstance(raw, dict) and "images" in raw and "videos" in raw


def read(source: Source, out: Collector) -> VideoSet:
    file = read_coco(source, out)
    frames: dict[int, list[int]] = {}
    for i, (where, image) in file.images.items():
        frames.setdefault(need(image, "video_id", int, where), []).append(i)
    listed = (record for annotated in file.annotations.values() for _, record in annotated)
    identity = next((key for record in listed for key in TRACK_KEYS if key in record), TRACK_KEYS[0])
    for where, record in records(source.json, "videos", source.path):
        images = frames.pop(need(record, "id", int, where), [])
        if not images:
            out.skip(source.path, "a video without images")
            continue
        images.sort(key=lambda i: _order(*file.images[i]))
        first = file.images[images[0]][1]["file_name"]
        name = record.get("name") or record.get("file_name") or plain(first).rpartition("/")[0]
        file.add_video(out, str(name or record["id"]), images, identity)
    if frames:
        raise UserError(f"{source.path}: images: video_id {next(iter(frames))}: no video has this id; add it to videos")
    return out.videoset()


def _order(where: str, image: Any) -> tuple[int, list[tuple[int, int | str]]]:
    numbers = [image[key] for key in _ORDER_KEYS if isinstance(image.get(key), int)]
    return numbers[0] if numbers else 0, natural(need(image, "file_name", str, where))


FORMAT = Format("COCO for videos (CocoVID, TAO): a JSON file of images with a video_id", accepts, read)
