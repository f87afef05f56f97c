"""The frames of a video that annotations speak of: the files of a folder, or a video file that is decoded later."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from cvis.data.footage import FRAMES, common_size, decode, in_folder, write_jpeg
from cvis.errors import UserError


@dataclass(frozen=True)
class Folder:
    """The pictures in a folder, in natural order, by what annotations call them; None: there is no such frame."""

    path: Path

    @cached_property
    def files(self) -> list[Path]:
        return in_folder(self.path)

    @cached_property
    def _by_name(self) -> dict[str, Path]:
        return {file.stem: file for file in self.files}

    @cached_property
    def _by_number(self) -> dict[int, Path]:
        return {n: file for file in self.files if (n := number_in(file.stem)) is not None}

    def nth(self, position: int) -> Path | None:
        """Counted from 0."""
        return self.files[position] if position < len(self.files) else None

    def numbered(self, number: int) -> Path | None:
        """By the number at the end of its name: ``000012.jpg``, ``frame_12.png``."""
        return self._by_number.get(number)

    def numbers(self, last: int) -> Sequence[int]:
        """The numbers that there are; of a video file, those up to ``last``."""
        return sorted(self._by_number)

    def named(self, stem: str) -> Path | None:
        """By its name without what follows the last point."""
        return self._by_name.get(stem)

    def size(self, frames: Sequence[Path]) -> tuple[int, int]:
        """Height and width of these frames; a UserError if they differ."""
        return common_size(frames, self.path)


@dataclass(frozen=True)
class Film:
    """A video file. Its frames are names in ``folder`` until :meth:`develop` writes those that are wanted."""

    path: Path
    folder: Path

    def nth(self, position: int) -> Path | None:
        return self.folder / f"{position:06d}.jpg"

    def numbered(self, number: int) -> Path | None:
        return self.nth(number)

    def numbers(self, last: int) -> Sequence[int]:
        return range(last + 1)

    def named(self, stem: str) -> Path | None:
        number = number_in(stem)
        return None if number is None else self.nth(number)

    def size(self, frames: Sequence[Path]) -> tuple[int, int]:
        for frame in decode(self.path):
            height, width = frame.shape[:2]
            return height, width
        raise UserError(f"{self.path}: has no frames; it is cut off or not a video: make or copy it again")

    def develop(self, frames: Sequence[Path]) -> None:
        """Write these frames as JPEGs.

        Raises:
            UserError: the video ends before the last one, cannot be read, or the file system refuses the write.
        """
        wanted = {int(frame.stem): frame for frame in frames}
        self.folder.mkdir(parents=True, exist_ok=True)
        last, length = max(wanted), 0
        for number, picture in enumerate(decode(self.path)):
            length += 1
            if number in wanted:
                write_jpeg(wanted[number], picture)
            if number == last:
                return
        what = f"the annotations speak of it, but the video has {length} frames"
        raise UserError(f"{self.path}: frame {last}: {what}; give the video that was annotated")


Roll: TypeAlias = Folder | Film


def find_roll(root: Path, names: Sequence[str], alone: bool, folder: Path) -> Roll:
    """The frames of a video below ``root``.

    Args:
        root: a video file, a folder of frames, or a folder with one of these for each video.
        names: what the video may be called, the best first.
        alone: it is the only video, so ``root`` itself may be it.
        folder: where the frames of a video file are to be.

    Raises:
        UserError: there is none.
    """
    if root.is_file():
        if alone:
            return Film(root, folder)
        raise UserError(f"--frames {root}: is one video, but the annotations are of several; give their folder")
    for name in names:
        if ".." in Path(name).parts or Path(name).is_absolute():
            continue
        for place in (root / name, root / name / "img1"):  # the second as MOTChallenge has it
            if place.is_dir() and _has_frames(place):
                return Folder(place)
        films = [root / name, *sorted((root / name).parent.glob(f"{_literal(Path(name).name)}.*"))]
        for film in films:
            if film.is_file() and film.suffix.lower() in _FILMS:
                return Film(film, folder)
    if alone and root.is_dir() and _has_frames(root):
        return Folder(root)
    called = " or ".join(repr(name) for name in dict.fromkeys(names))
    raise UserError(f"{root}: has no folder of frames and no video file of the name {called}; give --frames")


_FILMS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


def _has_frames(folder: Path) -> bool:
    return any(path.suffix.lower() in FRAMES for path in folder.iterdir())


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def number_in(stem: str) -> int | None:
    """The number at the end of a name.

    >>> number_in("frame_000012"), number_in("7"), number_in("walk")
    (12, 7, None)
    """
    found = re.search(r"[0-9]{1,18}$", stem)
    return int(found.group()) if found else None
