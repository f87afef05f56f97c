"""CVAT for video 1.1: an XML file of tracks, of a task, a job or a project.

A track has a shape in some frames, and the others are as CVAT shows them (``cvat_tracks``). Boxes and ellipses become
masks of all that is inside. Frames are counted in the video that was uploaded, from 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from cvis.data.formats.collect import Collector
from cvis.data.formats.cvat_tracks import INSIDE, Shape, filled, shape_of
from cvis.data.formats.format import AGAIN, Format, Source
from cvis.data.formats.rolls import Folder, Roll
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_bytes
from cvis.errors import UserError, short
from cvis.types import RLE, Video

_MOST_FRAMES = 10_000_000
_OWN_NAME = re.compile(r"frame_[0-9]{6,}")
"""How CVAT names the frames that it exports: by their number in the video."""


class _NoDoctype(TreeBuilder):
    """Builds elements, but knows no entities: a document type could define some without end, or fetch files."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise UserError("has a DOCTYPE, which CVAT never writes and cvis does not read; export it again")


def accepts(source: Source) -> bool:
    return source.path.suffix.lower() == ".xml"


def read(source: Source, out: Collector) -> VideoSet:
    root = _parse(source.path)
    if root.find("image") is not None:
        raise UserError(f"{source.path}: image: is CVAT for images, without tracks; export it as 'CVAT for video 1.1'")
    tasks = root.findall("meta/project/tasks/task") or root.findall("meta/task") or root.findall("meta/job")
    if not tasks:
        raise UserError(f"{source.path}: meta: has no task, job or project; export it as 'CVAT for video 1.1'")
    tracks: dict[str | None, list[Element]] = {}
    for track in root.findall("track"):
        tracks.setdefault(track.get("task_id") if len(tasks) > 1 else None, []).append(track)
    for task in tasks:
        number = task.findtext("id") if len(tasks) > 1 else None
        _read_task(source.path, task, tracks.pop(number, []), out, len(tasks) == 1)
    for number in tracks:
        raise UserError(f"{source.path}: track: task_id {short(number)}: no task has this id; {AGAIN}")
    return out.videoset()


def _parse(path: Path) -> Element:
    parser = XMLParser(target=_NoDoctype())
    try:
        parser.feed(read_bytes(path))
        root: Element = parser.close()
    except UserError as error:
        raise error if str(error).startswith(str(path)) else UserError(f"{path}: {error}") from None
    except (ParseError, LookupError, ValueError) as error:
        raise UserError(f"{path}: is not XML ({error}); {AGAIN}") from error
    return root


def _read_task(path: Path, task: Element, tracks: Sequence[Element], out: Collector, alone: bool) -> None:
    source, title = task.findtext("source") or "", task.findtext("name") or ""
    name = PurePosixPath(source).stem or title or path.stem
    roll = out.roll(path, [n for n in (source, name, title) if n], alone)
    numbers = _frames_of(path, task, roll)
    frames = [_frame(roll, number, path) for number in numbers]
    video = out.video(name, frames, roll.size(frames), str(path))
    _check_size(path, task, video)
    place = {number: t for t, number in enumerate(numbers)}
    for track in tracks:
        _read_track(path, track, video, place, out)


def _frames_of(path: Path, task: Element, roll: Roll) -> range:
    """The numbers of the task's frames in the video."""
    start = _number(task, "start_frame", path, 0)
    step = int(found.group(1)) if (found := re.search(r"step=([0-9]{1,6})", task.findtext("frame_filter") or "")) else 1
    size = _number(task, "size", path, len(roll.files) if isinstance(roll, Folder) else 0)
    stop = _number(task, "stop_frame", path, start + (size - 1) * max(step, 1))
    if step < 1 or not start <= stop <= _MOST_FRAMES:
        raise UserError(f"{path}: meta: frames {start} to {stop} in steps of {step}: are none; {AGAIN}")
    return range(start, stop + 1, step)


def _number(task: Element, tag: str, path: Path, default: int) -> int:
    text = (task.findtext(tag) or "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UserError(f"{path}: meta: {tag}: {short(text)}: is not a number of frames; {AGAIN}")
    return int(text)


def _frame(roll: Roll, number: int, path: Path) -> Path:
    own = isinstance(roll, Folder) and _OWN_NAME.fullmatch(roll.files[0].stem)
    frame = roll.numbered(number) if own else roll.nth(number)
    if frame is None:
        what = f"the task has it, but {roll.path} does not"
        raise UserError(f"{path}: frame {number}: {what}; give the video, or all frames of it, by --frames")
    return frame


def _check_size(path: Path, task: Element, video: Video) -> None:
    said = (task.findtext("original_size/height"), task.findtext("original_size/width"))
    if None not in said and said != (str(video.height), str(video.width)):
        what = f"the frames are {video.width}x{video.height} (width x height)"
        raise UserError(f"{path}: original_size: {said[1]}x{said[0]}: {what}; use the video that was annotated")


def _read_track(path: Path, track: Element, video: Video, place: dict[int, int], out: Collector) -> None:
    where = f"{path}: track {track.get('id')}"
    shapes: dict[int, Shape] = {}
    for element in track:
        if element.tag in INSIDE:
            shape = shape_of(element, where)
            shapes[shape.frame] = shape
        elif element.tag != "attribute":
            out.skip(path, f"a shape without an inside ({short(element.tag)})")
    for attribute in track.iter("attribute"):
        out.skip(path, f"an attribute ({short(attribute.get('name'))})")
    if not shapes:
        return
    if any(shape.kind == "box" for shape in shapes.values()):
        out.skip(path, "a track of boxes: each is a mask of all that is in the box")
    category = out.category(track.get("label") or "", f"{where}: label")
    last: tuple[Any, RLE | None] = (None, None)
    for number, shape in filled(shapes, place):
        if shape.drawn is not last[0]:  # a shape that stays is drawn once
            there = f"{where}: frame {number}"
            last = (shape.drawn, out.mask(shape.segmentation(video.height, video.width, there), video, there))
        out.add(video, id(track), category, place[number], last[1])


FORMAT = Format("CVAT for video 1.1: an XML file", accepts, read)
