"""Annotations as people have them, in the format of YouTube-VIS. Every file of this folder that declares a ``FORMAT``
is one; its name, with a hyphen for the underscore, is the format's.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvis.atomic import atomic_folder
from cvis.data.formats.class_names import read_json
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Format, Source
from cvis.data.formats.rolls import Film
from cvis.data.videoset import VideoSet
from cvis.data.write import thinned, write_set
from cvis.discovery import declared
from cvis.errors import UserError
from cvis.validation import did_you_mean

FORMATS: dict[str, Format] = {name.replace("_", "-"): f for name, f in declared(__name__, "FORMAT").items()}
"""By the names that ``--from`` takes."""


@dataclass(frozen=True)
class Imported:
    """What :func:`import_data` made.

    Attributes:
        format: its name in :data:`FORMATS`.
        skipped: (file, what of it has no place in the format of YouTube-VIS) -> how often.
    """

    format: str
    videos: VideoSet
    skipped: Counter[tuple[str, str]]


def import_data(
    path: Path,
    out: Path,
    format: str | None = None,
    frames: Path | None = None,
    every: int = 1,
    copy: bool = False,
    classes: Path | None = None,
) -> Imported:
    """Write ``out/instances.json`` and ``out/JPEGImages``; complete or not at all.

    Args:
        path: the annotations, a file or a folder.
        out: a new folder.
        format: a name in :data:`FORMATS`; None: the one that accepts ``path``.
        frames: a folder of frames, a video file, or a folder with one of these for each video; None: what lies beside
            the annotations.
        every: keep every n-th annotated frame.
        copy: copy frames; else they are links to where they are. Frames of video files become JPEGs in either case.
        classes: a JSON file of the names of classes, for formats that have numbers only.

    Raises:
        UserError: something is missing, not what it should be, or does not fit the frames; ``out`` exists.
    """
    if every < 1:
        raise UserError(f"--every {every}: must be a whole number of at least 1")
    source = Source(Path(path).expanduser())
    name = format_of(source, format)
    with atomic_folder(out) as folder:
        decoded = folder / ".decoded"
        collector = Collector(frames, decoded, None if classes is None else read_json(classes))
        videos = thinned(FORMATS[name].read(source, collector), every)
        if not videos.num_tracks:
            reasons = "".join(f" ({what})" for _, what in list(collector.skipped)[:1])
            raise UserError(f"{path}: has no object with a mask{reasons}; export masks or polygons")
        _develop(collector.films, videos)
        write_set(videos, folder, copy)
        shutil.rmtree(decoded, ignore_errors=True)
    return Imported(name, videos, collector.skipped)


def format_of(source: Source, name: str | None) -> str:
    """The name of the format that a file or folder is in: the given one, or the one that accepts it.

    Raises:
        UserError: there is no such file or format, or none accepts it.
    """
    if not source.path.exists():
        raise UserError(f"{source.path}: does not exist; correct the path")
    if name is not None:
        if name not in FORMATS:
            raise UserError(f"--from {name}: no such format; {did_you_mean(name, FORMATS)}")
        return name
    if source.path.suffix.lower() == ".zip":
        raise UserError(f"{source.path}: is an archive, which cvis does not open; unpack it and give what is in it")
    found = [known for known, format in FORMATS.items() if format.accepts(source)]
    if len(found) != 1:
        what = f"looks like {' and '.join(found)}" if found else "looks like none of the formats"
        raise UserError(f"{source.path}: {what}; choose one by --from: {', '.join(FORMATS)}")
    return found[0]


def _develop(films: Sequence[Film], videos: VideoSet) -> None:
    """Write the frames of video files that are still wanted."""
    for film in films:
        wanted = [frame for video in videos.videos for frame in video.frames if frame.parent == film.folder]
        if wanted:
            film.develop(wanted)
