"""LabelMe: a JSON file for each frame, in a folder for each video. An object is its label and group id.

A shape without a group id is a track of its frame alone: nothing says which shape of another frame is the same object.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Hashable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image

from cvis.data.footage import natural
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import AGAIN, Format, Source, need
from cvis.data.formats.shapes import box, ellipse, pasted
from cvis.data.rle import encode
from cvis.data.videoset import VideoSet
from cvis.errors import UserError, short
from cvis.types import RLE, Video


def accepts(source: Source) -> bool:
    for file in source.files(".json")[:3]:
        raw = source.json if file == source.path else Source(file).json
        if isinstance(raw, dict) and "shapes" in raw:
            return True
    return False


def read(source: Source, out: Collector) -> VideoSet:
    videos: dict[str, list[tuple[Path, Any]]] = {}
    for file in sorted(source.files(".json"), key=lambda p: natural(p.as_posix())):
        content = Source(file).json
        if isinstance(content, dict) and "shapes" in content:
            videos.setdefault(source.video_of(file), []).append((file, content))
        else:
            out.skip(file, "a JSON file that is not LabelMe's")
    for name, labelled in videos.items():
        roll = out.roll(source.path, [name, Path(name).name], len(videos) == 1)
        frames = []
        for file, content in labelled:
            frame = roll.named(_stem(need(content, "imagePath", str, f"{file}: ")))
            if frame is None:
                raise UserError(
                    f"{file}: imagePath: {short(content['imagePath'])}: is not in {roll.path}; give --frames"
                )
            frames.append(frame)
        video = out.video(name, frames, roll.size(frames), str(source.path))
        for t, (file, content) in enumerate(labelled):
            _check_size(content, video, file)
            for i, shape in enumerate(need(content, "shapes", list, f"{file}: ")):
                _add(shape, video, t, file, f"{file}: shapes[{i}]", out)
    return out.videoset()


def _stem(path: str) -> str:
    """Of a path as Windows or others write it."""
    return PurePosixPath(PureWindowsPath(path).as_posix()).stem


def _check_size(content: Any, video: Video, file: Path) -> None:
    said = tuple(content.get(key) for key in ("imageHeight", "imageWidth"))
    if None not in said and said != (video.height, video.width):
        what = f"the frame is {video.width}x{video.height} (width x height)"
        raise UserError(f"{file}: imageWidth: {said[1]}x{said[0]}: {what}; use the frames that were annotated")


def _add(shape: Any, video: Video, t: int, file: Path, where: str, out: Collector) -> None:
    label = need(shape, "label", str, where)
    kind = shape.get("shape_type") or "polygon"
    reader = _KINDS.get(kind) if isinstance(kind, str) else None
    points = _points(shape, where)
    if reader is None or (reader is not _mask and len(points) < _LEAST[kind]):
        out.skip(file, f"a shape without an inside ({short(kind)})")
        return
    for key in ("flags", "description"):
        if shape.get(key):
            out.skip(file, f"{key} of a shape")
    group: Hashable = shape.get("group_id")
    if not isinstance(group, int | str):
        out.skip(file, f"{short(label)} without a group id: a track of this frame alone")
        group = (where,)
    category = out.category(label, f"{where}.label")
    drawn = reader(shape, points, video, where)
    mask = out.mask([drawn], video, f"{where}.points") if isinstance(drawn, list) else drawn
    out.add(video, group, category, t, mask)


def _points(shape: Any, where: str) -> list[list[float]]:
    points = need(shape, "points", list, where)
    for point in points:
        if not (isinstance(point, list) and len(point) == 2 and all(_is_number(value) for value in point)):
            raise UserError(f"{where}.points: {short(point)}: is not a point [x, y]; {AGAIN}")
    return points


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e9 and math.isfinite(value)


def _polygon(shape: Any, points: list[list[float]], video: Video, where: str) -> list[float]:
    return [value for point in points for value in point]


def _rectangle(shape: Any, points: list[list[float]], video: Video, where: str) -> list[float]:
    (x0, y0), (x1, y1) = points[:2]
    return box(x0, y0, x1, y1)


def _circle(shape: Any, points: list[list[float]], video: Video, where: str) -> list[float]:
    """A point in the middle, and one on the circle."""
    x, y = points[0]
    radius = math.dist(points[0], points[1])
    return ellipse(x, y, radius, radius)


def _mask(shape: Any, points: list[list[float]], video: Video, where: str) -> RLE | None:
    """A picture in base64 whose upper left corner is the first point."""
    try:
        data = base64.b64decode(need(shape, "mask", str, where), validate=True)
        with Image.open(io.BytesIO(data)) as image:
            if image.width > video.width + 1 or image.height > video.height + 1 or not points:
                raise UserError(f"{where}.mask: {image.width}x{image.height}: does not fit the frame; {AGAIN}")
            part = np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{where}.mask: cannot be read as a picture ({error}); {AGAIN}") from error
    left, top = (round(value) for value in points[0])
    return encode(pasted(part, left, top, video.height, video.width))


_KINDS = {"polygon": _polygon, "rectangle": _rectangle, "circle": _circle, "mask": _mask}
_LEAST = {"polygon": 3, "rectangle": 2, "circle": 2}

FORMAT = Format("LabelMe: a folder of JSON files, one for each frame", accepts, read)
