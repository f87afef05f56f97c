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
from cvis.data.formats.archive import unpacked
from cvis.data.formats.class_names import read_json
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Format, Source
from cvis.data.formats.rolls import Film
from cvis.data.merge import merge
from cvis.data.videoset import VideoSet
from cvis.data.write import thinned, write_set
from cvis.discovery import declared
from cvis.errors import UserError
from cvis.validation import did_you_mean

FORMATS: dict[str, Format] = {name.replace("_", "-"): f for name, f in declared(__name__, "FORMAT").items()}
"""By the names that ``--from`` takes."""
_MOST_PARTS = 16
"""JSON files of one set in COCO's format; where there are more, there is one for each frame."""


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
        path: the annotations: a file, a folder, or a zip file of these. Several parts (train, valid, test) become one
            set.
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
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path}: does not exist; correct the path")
    if format is not None and format not in FORMATS:
        raise UserError(f"--from {format}: no such format; {did_you_mean(format, FORMATS)}")
    names = None if classes is None else read_json(classes)
    skipped: Counter[tuple[str, str]] = Counter()
    with atomic_folder(out) as folder, unpacked(path, folder / ".unpacked") as inside:
        decoded = folder / ".decoded"
        name, sources = recognise(inside, format)
        collectors = [Collector(frames, decoded / str(n), names) for n in range(len(sources))]
        read = [FORMATS[name].read(*pair) for pair in zip(sources, collectors, strict=True)]
        for collector in collectors:
            for (file, what), count in collector.skipped.items():
                skipped[file.replace(str(inside), str(path)), what] += count
        videos = thinned(merge(read) if len(read) > 1 else read[0], every)
        if not videos.num_tracks:
            reasons = "".join(f" ({what})" for _, what in list(skipped)[:1])
            raise UserError(f"{path}: has no object with a mask{reasons}; export masks or polygons")
        _develop([film for collector in collectors for film in collector.films], videos)
        write_set(videos, folder, copy)
        for scratch in (decoded, folder / ".unpacked"):
            shutil.rmtree(scratch, ignore_errors=True)
    return Imported(name, videos, skipped)


def recognise(path: Path, name: str | None = None) -> tuple[str, list[Source]]:
    """The name of the format that a file or folder is in, the given one or the one that accepts it; and what to read.

    That is the path itself, or all files of annotations that are in the folder and below.

    Raises:
        UserError: no format accepts it, or several do.
    """
    whole, inside = Source(path), []
    if path.is_dir():
        files = whole.files(".json")
        inside = [Source(file) for file in (*whole.files(".xml"), *(files if len(files) <= _MOST_PARTS else ()))]
    found = {}
    for known in FORMATS if name is None else [name]:
        accepts = FORMATS[known].accepts
        if sources := [whole] if accepts(whole) else [source for source in inside if accepts(source)]:
            found[known] = sources
    if name is not None:
        return name, found.get(name, [whole])
    if len(found) != 1:
        what = f"looks like {' and '.join(found)}" if found else "looks like none of the formats"
        raise UserError(f"{path}: {what}; choose one by --from: {', '.join(FORMATS)}")
    return found.popitem()


def _develop(films: Sequence[Film], videos: VideoSet) -> None:
    """Write the frames of video files that are still wanted."""
    for film in films:
        wanted = [frame for video in videos.videos for frame in video.frames if frame.parent == film.folder]
        if wanted:
            film.develop(wanted)
