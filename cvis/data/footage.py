"""A user's own videos, a video file or a folder of frames each, as the :class:`~cvis.types.Video` that models take."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from cvis.atomic import atomic_folder
from cvis.errors import UserError
from cvis.types import Video

FRAMES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@contextmanager
def footage(paths: Sequence[Path], every: int = 1) -> Iterator[list[Video]]:
    """The videos at ``paths``, with ids 1, 2, ... in that order, named by their files or folders.

    A video file is decoded into a temporary folder, which is removed when the block ends; it needs room for all
    frames as PNG. Frames of a folder are taken in natural order (2 before 10) and stay where they are.

    Args:
        every: take only every n-th frame.

    Raises:
        UserError: a path does not exist, is not a video or a folder of frames, has no frame, or has frames of
            different sizes.
    """
    _check_every(every)
    with tempfile.TemporaryDirectory(prefix="cvis-") as folder:
        videos: list[Video] = []
        for number, path in enumerate(paths, start=1):
            frames = in_folder(path) if path.is_dir() else _decoded(path, Path(folder) / str(number), every)
            frames = frames[::every] if path.is_dir() else frames
            name = path.resolve().name if path.is_dir() else path.stem
            taken = any(video.name == name for video in videos)
            height, width = common_size(frames, path)
            videos.append(Video(number, f"{name}-{number}" if taken else name, height, width, tuple(frames)))
        yield videos


def extract(paths: Sequence[Path], out: Path, every: int = 1, fps: float | None = None) -> dict[str, int]:
    """Write ``out/<video>/<frame's number>.jpg`` for video files, to be annotated; complete or not at all.

    Args:
        every: take only every n-th frame.
        fps: in its place, frames a second; of a video that has fewer, all.

    Returns:
        The frames of every video.

    Raises:
        UserError: a path is not a video, two have one name, or ``out`` exists.
    """
    _check_every(every)
    if fps is not None and (every > 1 or not fps > 0):
        raise UserError(f"--fps {fps:g}: must be above 0, and without --every; give one of the two")
    counts: dict[str, int] = {}
    with atomic_folder(out) as folder:
        for path in paths:
            if path.stem in counts:
                raise UserError(f"{path}: another video is called {path.stem} too; rename one")
            if not path.is_file():
                raise UserError(f"{path}: is no file; give a video file")
            (folder / path.stem).mkdir()
            counts[path.stem] = 0
            share = Fraction(1, every) if fps is None else min(Fraction(1), Fraction(fps) / _rate(path))
            for n, frame in enumerate(decode(path)):
                if n * share // 1 > (n - 1) * share // 1:
                    write_jpeg(folder / path.stem / f"{n:06d}.jpg", frame)
                    counts[path.stem] += 1
    return counts


def write_jpeg(path: Path, frame: np.ndarray) -> None:
    """A frame, uint8 ``[H, W, 3]`` RGB, as a JPEG of quality 95.

    Raises:
        UserError: the file system refuses the write.
    """
    if not cv2.imwrite(str(path), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95]):
        raise UserError(f"{path}: cannot be written; free space, or choose another folder")


def _check_every(every: int) -> None:
    if every < 1:
        raise UserError(f"--every {every}: must be a whole number of at least 1")


def natural(name: str) -> list[tuple[int, int | str]]:
    """The key that sorts numbers in names by their value.

    >>> sorted(["f10.png", "f2.png", "f1.png"], key=natural)
    ['f1.png', 'f2.png', 'f10.png']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def in_folder(folder: Path) -> list[Path]:
    """The frames of a folder, in natural order.

    Raises:
        UserError: it has none.
    """
    frames = [p for p in folder.iterdir() if p.suffix.lower() in FRAMES and p.is_file() and not p.name.startswith(".")]
    if not frames:
        raise UserError(f"{folder}: has no frames; give a video file, or a folder with {', '.join(FRAMES)} files in it")
    return [path.absolute() for path in sorted(frames, key=lambda p: natural(p.name))]


def _decoded(path: Path, folder: Path, every: int) -> list[Path]:
    """The frames of a video file as files in ``folder``."""
    if not path.is_file():
        raise UserError(f"{path}: does not exist; give a video file, or a folder of frames")
    folder.mkdir()
    files = []
    for n, frame in enumerate(decode(path)):
        if n % every:
            continue
        files.append(folder / f"{n:06d}.png")
        if not cv2.imwrite(str(files[-1]), frame[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1]):
            raise UserError(f"{files[-1]}: cannot be written; free space, or set TMPDIR to a folder that has some")
    if not files:
        raise UserError(f"{path}: has no frames; it is cut off or not a video: make or copy it again")
    return files


def decode(path: Path) -> Iterator[np.ndarray]:
    """The RGB frames of a video file as they are meant to be seen: phones store them lying and note how to turn them.

    Raises:
        UserError: it is not a video, or PyAV is missing.
    """
    with _opened(path) as container:
        for frame in container.decode(video=0):
            yield np.rot90(frame.to_ndarray(format="rgb24"), getattr(frame, "rotation", 0) // 90)


def _rate(path: Path) -> Fraction:
    """Frames a second."""
    with _opened(path) as container:
        rate = container.streams.video[0].average_rate
    if not rate:
        raise UserError(f"{path}: does not say how many frames a second it has; take every n-th by --every")
    return Fraction(rate)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import av
    except ImportError as error:
        raise UserError(f"{path}: PyAV cannot be imported ({error}); pip install av, or give frames") from error
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path}: has no video stream; give a video file, or a folder of frames")
            yield container
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{path}: cannot be read as a video: {reason}; give a video file, or a folder of frames"
        ) from error


def common_size(frames: Sequence[Path], source: Path) -> tuple[int, int]:
    """Height and width that all frames of a video have.

    Raises:
        UserError: a frame cannot be read, or two differ; names ``source``.
    """
    sizes = []
    for path in frames:
        try:
            with Image.open(path) as image:
                sizes.append(image.size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(f"{path}: this frame cannot be read: {error}; copy this file again") from error
        if sizes[-1] != sizes[0]:
            (width, height), (first_width, first_height) = sizes[-1], sizes[0]
            raise UserError(
                f"{source}: {path.name}: is {width}x{height}, {frames[0].name} {first_width}x{first_height} "
                "(width x height); the frames of a video must have one size"
            )
    width, height = sizes[0]
    return height, width
