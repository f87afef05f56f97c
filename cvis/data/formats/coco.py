"""COCO's instance annotations of images: each image becomes a video of one frame."""

from __future__ import annotations

from cvis.data.formats.coco_file import plain, read_coco
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Format, Source, need
from cvis.data.videoset import VideoSet


def accepts(source: Source) -> bool:
    raw = source.json
    return isinstance(raw, dict) and "images" in raw and "videos" not in raw


def read(source: Source, out: Collector) -> VideoSet:
    file = read_coco(source, out)
    for i, (where, image) in file.images.items():
        file.add_video(out, plain(need(image, "file_name", str, where)), [i], "id")
    return out.videoset()


FORMAT = Format("COCO: a JSON file of images, each of which becomes a video of one frame", accepts, read)
