"""MOTS (Voigtlaender et al., "MOTS: Multi-Object Tracking and Segmentation", CVPR 2019): 16-bit PNGs, or text files.

A number is 1000 x class + instance. A line of a text file is ``frame number class height width rle``; its frames are
those whose names end in that number, all frames of the video are annotated. Class 10 marks what is to be ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cvis.data.footage import natural
from cvis.data.formats.class_names import class_of
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Format, Source
from cvis.data.formats.indexed import LARGE, mode_of, read_indexed
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_bytes
from cvis.errors import UserError, short

CLASSES = {"1": "car", "2": "pedestrian"}
_PER_CLASS = 1000
_IGNORED = 10
_MOST_FRAMES = 10_000_000


class _Line(NamedTuple):
    where: str
    frame: int
    number: int
    category: int
    height: int
    width: int
    counts: str


def accepts(source: Source) -> bool:
    if texts := source.files(".txt")[:1]:
        try:
            return next(_lines(texts[0]), None) is not None
        except UserError:
            return False
    return any(mode_of(file) in LARGE for file in source.files(".png")[:1])


def read(source: Source, out: Collector) -> VideoSet:
    if texts := source.files(".txt"):
        for text in sorted(texts, key=lambda p: natural(p.name)):
            _read_text(source, text, out, len(texts) == 1)
        return out.videoset()
    for video, t, file, masks in read_indexed(source, out, LARGE, "those of MOTS have 16 bits"):
        for number, mask in masks.items():
            if (category := _category(number // _PER_CLASS, out, file)) is not None:
                out.add(video, number, category, t, mask)
    return out.videoset()


def _category(number: int, out: Collector, file: Path) -> int | None:
    if number == _IGNORED:
        out.skip(file, "a region to be ignored (class 10)")
        return None
    return out.category(class_of(out.classes or CLASSES, (str(number),)), str(file))


def _read_text(source: Source, text: Path, out: Collector, alone: bool) -> None:
    lines = list(_lines(text))
    if not lines:
        out.skip(text, "a file without a line")
        return
    roll = out.roll(source.path, [text.stem], alone)
    for line in lines:
        if roll.numbered(line.frame) is None:
            what = f"no frame in {roll.path} has this number"
            raise UserError(f"{line.where}: frame {line.frame}: {what}; give the frames' folder by --frames")
    found = ((n, roll.numbered(n)) for n in roll.numbers(max(line.frame for line in lines)))
    frames = {number: frame for number, frame in found if frame is not None}
    video = out.video(text.stem, list(frames.values()), roll.size(list(frames.values())), str(text))
    place = {number: t for t, number in enumerate(frames)}
    for line in lines:
        if (category := _category(line.category, out, text)) is not None:
            code = out.mask({"size": [line.height, line.width], "counts": line.counts}, video, line.where)
            out.add(video, line.number, category, place[line.frame], code)


def _lines(text: Path) -> Iterator[_Line]:
    """Raises: UserError: a line is another."""
    for n, line in enumerate(read_bytes(text).decode("ascii", "replace").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 6 or not all(word.isdecimal() and len(word) < 10 for word in words[:5]):
            raise UserError(
                f"{text}: line {n}: {short(line)}: is not 'frame number class height width rle'; correct it"
            )
        frame, number, category, height, width = map(int, words[:5])
        if frame > _MOST_FRAMES:
            raise UserError(f"{text}: line {n}: frame {frame}: is more than {_MOST_FRAMES}; correct it")
        yield _Line(f"{text}: line {n}", frame, number, category, height, width, words[5])


FORMAT = Format("MOTS: a folder of 16-bit PNGs for each video, or a text file for each", accepts, read)
