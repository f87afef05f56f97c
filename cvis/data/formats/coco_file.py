"""What COCO's files of images and of videos have in common: categories, images, and masks of one image each."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.data.footage import common_size
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Source, need, records
from cvis.errors import UserError

TRACK_KEYS = ("instance_id", "track_id")
"""What files call an object's identity: CocoVID and its kin, TAO and its kin."""
_NO_PLACE = ("attributes", "caption", "keypoints")


@dataclass(frozen=True)
class CocoFile:
    """A file by the ids in it; with every record, its place for messages."""

    path: Path
    categories: dict[int, int]  # the file's id -> ours
    images: dict[int, tuple[str, Any]]
    annotations: dict[int, list[tuple[str, Any]]]  # image id -> its annotations

    def add_video(self, out: Collector, name: str, images: Sequence[int], identity: str) -> None:
        """These images, in this order, as a video.

        Args:
            identity: the key that an object has in all of its annotations.
        """
        frames, sizes = [], set()
        for i in images:
            where, image = self.images[i]
            frames.append(out.file(self.path, need(image, "file_name", str, where), f"{where}.file_name"))
            sizes.add((need(image, "height", int, where), need(image, "width", int, where)))
        size, where = common_size(frames, self.path), self.images[images[0]][0]
        if sizes != {size}:
            said = " and ".join(f"{w}x{h}" for h, w in sorted(sizes))
            what = f"the file says {said}, the frames are {size[1]}x{size[0]} (width x height)"
            raise UserError(f"{where}: {what}; use the frames that were annotated")
        video = out.video(name, frames, size, where)
        for t, i in enumerate(images):
            for place, annotation in self.annotations.get(i, []):
                segmentation = annotation.get("segmentation")
                for extra in _NO_PLACE:
                    if annotation.get(extra):
                        out.skip(self.path, f"{extra} of an annotation")
                category = self.categories.get(need(annotation, "category_id", int, place))
                if category is None:
                    raise UserError(
                        f"{place}.category_id: {annotation['category_id']}: no category has this id; add it"
                    )
                if not segmentation:
                    out.skip(self.path, "an annotation without a mask (segmentation)")
                    continue
                key: Hashable = annotation.get(identity)
                if not isinstance(key, int | str):
                    out.skip(self.path, f"no {identity}: a track of this frame alone")
                    key = (place,)
                mask = out.mask(segmentation, video, f"{place}.segmentation")
                out.add(video, key, category, t, mask, annotation.get("iscrowd") == 1)


def read_coco(source: Source, out: Collector) -> CocoFile:
    """Raises: UserError: it is not such a file; names the place."""
    path, raw = source.path, source.json
    categories: dict[int, int] = {}
    images: dict[int, tuple[str, Any]] = {}
    for where, record in records(raw, "categories", path):
        given = need(record, "id", int, where)
        categories[given] = out.category(need(record, "name", str, where), where, given)
    for where, record in records(raw, "images", path):
        if (given := need(record, "id", int, where)) in images:
            raise UserError(f"{where}.id: {given}: is that of {images[given][0]} too; give each an id of its own")
        images[given] = (where, record)
    annotations: dict[int, list[tuple[str, Any]]] = {}
    for where, record in records(raw, "annotations", path):
        if (image := need(record, "image_id", int, where)) not in images:
            raise UserError(f"{where}.image_id: {image}: no image has this id; correct it")
        annotations.setdefault(image, []).append((where, record))
    return CocoFile(path, categories, images, annotations)


def plain(file_name: str) -> str:
    """The name of an image's video: its path without what follows the last point."""
    return re.sub(r"\.[^./]*$", "", file_name)
