"""Masks as pictures whose pixels are numbers of objects, a folder a video: what DAVIS and MOTS have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cvis.data.footage import natural
from cvis.data.formats.collect import Collector
from cvis.data.formats.format import Source
from cvis.data.rle import encode
from cvis.errors import UserError
from cvis.types import RLE, Video

SMALL = ("P", "L", "1")
"""Pillow's modes of pictures with numbers up to 255; the first has a palette."""
LARGE = ("I;16", "I;16B", "I")


def mode_of(picture: Path) -> str:
    """How the pixels of a picture are stored; empty if it is none."""
    try:
        with Image.open(picture) as image:
            return image.mode
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""


def read_indexed(
    source: Source, out: Collector, modes: tuple[str, ...], remedy: str
) -> Iterator[tuple[Video, int, Path, dict[int, RLE]]]:
    """Of every picture, the masks of the numbers in it, but 0.

    Yields:
        the video, the frame's place in it, the file, and number -> mask.

    Raises:
        UserError: a picture is of another kind or size than its frame, or there is no frame of its name.
    """
    videos: dict[str, list[Path]] = {}
    for file in sorted(source.files(".png"), key=lambda p: natural(p.as_posix())):
        videos.setdefault(source.video_of(file), []).append(file)
    for name, files in videos.items():
        roll = out.roll(source.path, [name, Path(name).name], len(videos) == 1)
        if roll.path.resolve() == files[0].parent.resolve():
            raise UserError(f"{roll.path}: has the masks; give the folder of the frames by --frames")
        frames = [_known(roll.named(file.stem), file, roll.path) for file in files]
        video = out.video(name, frames, roll.size(frames), str(source.path))
        for t, file in enumerate(files):
            pixels = _pixels(file, video, modes, remedy)
            numbers = [int(n) for n in np.unique(pixels) if n]
            yield video, t, file, {n: code for n in numbers if (code := encode(pixels == n)) is not None}


def _known(frame: Path | None, mask: Path, where: Path) -> Path:
    if frame is None:
        raise UserError(f"{mask}: there is no frame {mask.stem} in {where}; give the frames' folder by --frames")
    return frame


def _pixels(file: Path, video: Video, modes: tuple[str, ...], remedy: str) -> np.ndarray:
    try:
        with Image.open(file) as image:
            if image.mode not in modes:
                raise UserError(f"{file}: {image.mode}: is no picture of such masks; {remedy}")
            if image.size != (video.width, video.height):
                size = f"{image.width}x{image.height}"
                what = f"its frame is {video.width}x{video.height} (width x height)"
                raise UserError(f"{file}: {size}: {what}; use masks and frames of one size")
            return np.asarray(image.convert("L") if image.mode == "1" else image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{file}: cannot be read as a picture ({error}); copy this file again") from error
