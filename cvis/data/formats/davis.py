"""DAVIS and YouTube-VOS: a folder of PNGs for each video, whose pixels are numbers of objects.

0 is background. With a palette 255 is void, as in DAVIS; in a grey picture of 0 and 255 alone (DAVIS 2016) it is the
object. Classes come from ``--classes FILE`` or a file that lies there: ``meta.json`` as in YouTube-VOS, or
``{video: {number: class}}``, as in ``davis_semantics.json``. Without one, every object is an "object".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvis.data.formats.class_names import class_of, read_json
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Format, Source
from cvis.data.formats.indexed import SMALL, mode_of, read_indexed
from cvis.data.videoset import VideoSet

_VOID = 255
_FILES = ("meta.json", "davis_semantics.json")


def accepts(source: Source) -> bool:
    return any(mode_of(file) in SMALL for file in source.files(".png")[:1])


def read(source: Source, out: Collector) -> VideoSet:
    names = _names(source, out)
    for video, t, file, masks in read_indexed(source, out, SMALL, "indexed or grey ones have numbers of objects"):
        if _VOID in masks and (mode_of(file) == "P" or len(masks) > 1):
            del masks[_VOID]
            out.skip(file, "void (255)")
        for number, mask in masks.items():
            category = out.category(_class(names, video.name, number), str(file))
            out.add(video, number, category, t, mask)
    return out.videoset()


def _names(source: Source, out: Collector) -> Any:
    if out.classes is not None:
        return out.classes
    places = (folder / name for folder in (source.path, source.path.parent) for name in _FILES)
    return next((read_json(place) for place in places if place.is_file()), None)


def _class(names: Any, video: str, number: int) -> str:
    if names is None:
        return "object"
    short = Path(video).name
    if isinstance(names, dict) and "videos" in names:
        return class_of(names, ("videos", short, "objects", str(number), "category"))
    return class_of(names, (short, str(number)))


FORMAT = Format("DAVIS or YouTube-VOS: a folder of indexed PNGs for each video", accepts, read)
