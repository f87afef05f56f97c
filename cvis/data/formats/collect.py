"""Where the readers of all formats put what they find: videos, objects by their identity, and what has no place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pycocotools import mask as coco

from cvis.data.formats.rolls import Film, Roll, find_roll
from cvis.data.rle import RLEError, read_segmentation
from cvis.data.videoset import VideoSet
from cvis.errors import UserError, short, wrong_name
from cvis.types import RLE, Category, Track, Video

MOST_MASKS = 5_000_000
"""Of all tracks in all frames: ten times what the largest published sets have. A file of a kilobyte can ask for any
number by a track of which it gives the first frame only."""

_Key = tuple[Hashable, int, bool]  # identity, category, crowd


@dataclass
class Collector:
    """What a reader finds.

    Attributes:
        frames: the user's folder of frames or video file; None: what lies beside the annotations.
        decoded: where frames of video files are to be.
        classes: the user's names of classes, as JSON, for formats that have none.
        skipped: (file, what could not be mapped) -> how often.
    """

    frames: Path | None
    decoded: Path
    classes: Any = None
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    films: list[Film] = field(default_factory=list)
    _categories: dict[str, int] = field(default_factory=dict)
    _videos: list[Video] = field(default_factory=list)
    _objects: dict[int, dict[_Key, dict[int, RLE]]] = field(default_factory=dict)
    _masks: int = 0

    def skip(self, file: Path | str, what: str, count: int = 1) -> None:
        """Note what has no place in the format of YouTube-VIS."""
        self.skipped[str(file), what] += count

    def category(self, name: str, where: str, id: int | None = None) -> int:
        """The id of a class: the given one, or the next.

        Raises:
            UserError: the name cannot be printed, or the id is that of another class.
        """
        if what := wrong_name(name):
            raise UserError(f"{where}: {short(name)}: {what}; give the class a plain name")
        known = self._categories
        if name not in known:
            known[name] = max(known.values(), default=0) + 1 if id is None else id
            if list(known.values()).count(known[name]) > 1:
                raise UserError(f"{where}: id {id}: is that of another class too; give each an id of its own")
        return known[name]

    def root(self, source: Path) -> Path:
        """The folder of all frames: the user's, or a usual one beside the annotations."""
        if self.frames is not None:
            if not self.frames.exists():
                raise UserError(f"--frames {self.frames}: does not exist; correct the path")
            return self.frames
        beside = [source.parent / "JPEGImages", source.parent / "images"]
        if source.parent.name == "annotations":  # COCO's layout: annotations/instances_PART.json, images/PART or PART
            part, above = source.stem.rpartition("_")[2], source.parent.parent
            beside += [above / "images" / part, above / "images", above / part]
        return next((p for p in beside if p.is_dir()), source if source.is_dir() else source.parent)

    def file(self, source: Path, name: str, where: str) -> Path:
        """The frame that annotations name by its path.

        Raises:
            UserError: it leads out of the folder of the frames, or is not there.
        """
        path = PurePosixPath(name)
        if not name or wrong_name(name) or path.is_absolute() or ".." in path.parts:
            raise UserError(f"{where}: {short(name)}: is not the name of a file below the frames; correct it")
        full = self.root(source) / name
        if not full.is_file():
            raise UserError(f"{where}: {full}: this frame does not exist; give the folder that it lies in by --frames")
        return full

    def roll(self, source: Path, names: Sequence[str], alone: bool) -> Roll:
        """The frames of a video, see :func:`find_roll`."""
        roll = find_roll(self.root(source), names, alone, self.decoded / str(len(self.films)))
        if isinstance(roll, Film):
            self.films.append(roll)
        return roll

    def video(self, name: str, frames: Sequence[Path], size: tuple[int, int], where: str) -> Video:
        """A new video.

        Raises:
            UserError: it has no frame, or no name that can be printed.
        """
        if what := wrong_name(name):
            raise UserError(f"{where}: video {short(name)}: {what}; give it a plain name")
        if not frames:
            raise UserError(f"{where}: video {name!r}: has no annotated frame; leave it out")
        video = Video(len(self._videos) + 1, name, *size, tuple(frames))
        self._videos.append(video)
        self._objects[video.id] = {}
        return video

    def mask(self, segmentation: Any, video: Video, where: str) -> RLE | None:
        """Polygons or COCO's RLE as compressed RLE; None where no pixel is in it.

        Raises:
            UserError: it is neither, or does not fit the video.
        """
        if not segmentation:
            return None
        try:
            code, pixels = read_segmentation(segmentation, video.height, video.width)
        except RLEError as error:
            raise UserError(f"{where}{error.part}: {short(error.value)}: {error.what}; correct it") from None
        return code if pixels else None

    def add(
        self, video: Video, identity: Hashable, category: int, frame: int, mask: RLE | None, crowd: bool = False
    ) -> None:
        """What is seen of an object in a frame. Several parts of one object in one frame are united.

        Raises:
            UserError: there are too many masks.
        """
        if mask is None:
            return
        self._masks += 1
        if self._masks > MOST_MASKS:
            raise UserError(f"video {video.name!r}: the masks of all tracks are more than {MOST_MASKS}; split the file")
        track = self._objects[video.id].setdefault((identity, category, crowd), {})
        track[frame] = coco.merge([track[frame], mask]) if frame in track else mask

    def videoset(self) -> VideoSet:
        """All of it: a track for each identity, class by class where one has several; ids count from 1."""
        tracks: dict[int, tuple[Track, ...]] = {}
        number = 0
        for video in self._videos:
            found = []
            for (_, category, crowd), masks in self._objects[video.id].items():
                number += 1
                codes = tuple(masks.get(t) for t in range(len(video)))
                areas = tuple(float(coco.area(code)) if code else 0.0 for code in codes)
                found.append(Track(number, video.id, category, codes, areas, crowd))
            tracks[video.id] = tuple(found)
        categories = tuple(Category(id, name) for name, id in self._categories.items())
        return VideoSet(categories, tuple(self._videos), tracks, sha256="")
