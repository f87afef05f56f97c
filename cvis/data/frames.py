"""Frames from disk, and how a clip shows them: cropped, resized and flipped by one draw, the same for frames and masks.

Pillow rather than OpenCV: OpenCV returns a truncated JPEG as a half-grey picture and only writes a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cvis.errors import Problem, UserError


def read_frames(paths: Sequence[Path], height: int, width: int) -> np.ndarray:
    """The frames of a clip or a video.

    Args:
        paths: T image files.
        height: pixels, as the annotation file says.
        width: pixels.

    Returns:
        uint8 ``[T, height, width, 3]``, RGB.

    Raises:
        UserError: a file is missing, unreadable or truncated, or its size is not ``height`` x ``width``.
    """
    frames = np.empty((len(paths), height, width, 3), np.uint8)
    for frame, path in zip(frames, paths, strict=True):
        frame[:] = read_frame(path, height, width)
    return frames


def read_frame(path: Path, height: int, width: int) -> np.ndarray:
    """One frame, uint8 ``[height, width, 3]``, RGB.

    Raises:
        UserError: as :func:`read_frames`; its argument is the :class:`~cvis.errors.Problem`.
    """
    with _opened(path, height, width) as image:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def check_frame(path: Path, height: int, width: int) -> None:
    """Find what :func:`read_frame` would, in half of its time: all of a file is decoded, but not to all of its pixels.

    Raises:
        UserError: as :func:`read_frame`.
    """
    with _opened(path, height, width) as image:
        image.draft("L", (1, 1))  # of a JPEG, the brightness of every eighth pixel; of other formats everything
        image.load()


@contextmanager
def _opened(path: Path, height: int, width: int) -> Iterator[Image.Image]:
    """A file of an image of this size, to be decoded within."""
    again = "copy or unpack this file again"
    try:
        with Image.open(path) as image:
            if image.size != (width, height):
                size = f"{image.width}x{image.height}"
                what = f"the annotation file says {width}x{height} (width x height)"
                raise Problem(str(path), "size", size, what, "use the frames that belong to it").error()
            yield image
    except FileNotFoundError:
        remedy = "unpack the frames of the data set there, or point --data to them"
        raise Problem(str(path), "", "", "this frame does not exist", remedy).error() from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow reports damage by any of these
        reason = getattr(error, "strerror", None) or str(error).split(" file '")[0]
        raise Problem(str(path), "", reason, "this frame cannot be read", again).error() from error


@dataclass(frozen=True, slots=True)
class Crop:
    """DETR's random crop: of some clips a rectangle is shown, cut out at a size of the frame of its own.

    Attributes:
        probability: per clip.
        short_sides: one is drawn per clip as the length of the frame's shorter side, pixels, for the cut alone.
        sides: bounds of the rectangle's height and of its width, pixels; each is drawn, and is the frame's at most.

    Raises:
        UserError: a value is out of range.
    """

    probability: float = 0.5
    short_sides: tuple[int, ...] = (400, 500, 600)
    sides: tuple[int, int] = (384, 600)

    def __post_init__(self) -> None:
        bounds = {
            "probability": (0 <= self.probability <= 1, "between 0 and 1"),
            "short_sides": (bool(self.short_sides) and min(self.short_sides) >= 1, "one or more sizes >= 1"),
            "sides": (len(self.sides) == 2 and 1 <= self.sides[0] <= self.sides[1], "two sizes >= 1, in order"),
        }
        for field, (valid, rule) in bounds.items():
            if not valid:
                raise UserError(f"clip sampling: crop.{field}: {getattr(self, field)}: must be {rule}")

    def draw(self, rng: np.random.Generator, height: int, width: int) -> tuple[slice, slice] | None:
        """Rows and columns of a frame of this size; None: all of it."""
        if rng.random() >= self.probability:
            return None
        scale = int(rng.choice(self.short_sides)) / min(height, width)
        cut = []
        for side in (height, width):
            length = min(side, max(1, round(int(rng.integers(self.sides[0], self.sides[1], endpoint=True)) / scale)))
            start = int(rng.integers(0, side - length, endpoint=True))
            cut.append(slice(start, start + length))
        return cut[0], cut[1]


@dataclass(frozen=True, slots=True)
class View:
    """How a clip is shown: perhaps a part of it, resized to ``height`` x ``width``, then perhaps mirrored."""

    height: int
    width: int
    flip: bool = False
    cut: tuple[slice, slice] = (slice(None), slice(None))  # rows and columns

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [T, H, W, 3] -> [T, height, width, 3], bilinear, as mmdet does it."""
        return self._apply(frames, cv2.INTER_LINEAR)

    def masks(self, masks: np.ndarray) -> np.ndarray:
        """uint8 [M, H, W] -> [M, height, width], nearest neighbour.

        The exact variant takes the pixel under the centre of the new one. Plain ``INTER_NEAREST`` takes the
        one under its corner, and shifts masks against frames by up to half a pixel.
        """
        return self._apply(masks, cv2.INTER_NEAREST_EXACT)

    def _apply(self, images: np.ndarray, interpolation: int) -> np.ndarray:
        rows, columns = self.cut
        images = images[:, rows, columns]
        if len(images) and images.shape[1:3] != (self.height, self.width):
            size = (self.width, self.height)
            images = np.stack([cv2.resize(image, size, interpolation=interpolation) for image in images])
        return images[:, :, ::-1] if self.flip else images


def resized(height: int, width: int, short_side: int, max_size: int) -> tuple[int, int]:
    """Height and width with the aspect kept, the shorter side ``short_side`` pixels long, the longer one
    ``max_size`` at most.

    >>> resized(720, 1280, 360, 1333), resized(100, 1000, 360, 1333)
    ((360, 640), (133, 1333))
    """
    scale = min(short_side / min(height, width), max_size / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def draw_view(
    rng: np.random.Generator,
    height: int,
    width: int,
    short_sides: Sequence[int],
    max_size: int,
    flip: float,
    crop: Crop | None = None,
) -> View:
    """The shorter side uniform among ``short_sides``; mirrored with probability ``flip``; first, perhaps, a crop."""
    cut = crop.draw(rng, height, width) if crop is not None else None
    if cut is not None:
        height, width = (part.stop - part.start for part in cut)
    short_side = int(rng.choice(short_sides))
    whole = slice(None), slice(None)
    return View(*resized(height, width, short_side, max_size), flip=bool(rng.random() < flip), cut=cut or whole)
