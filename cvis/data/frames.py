"""Frames from disk.

Pillow rather than OpenCV: OpenCV returns a truncated JPEG as a half-grey picture and only writes a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cvis.data.problem import Problem


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
        UserError: as :func:`read_frames`; its argument is the :class:`~cvis.data.problem.Problem`.
    """
    again = "copy or unpack this file again"
    try:
        with Image.open(path) as image:
            if image.size != (width, height):
                size = f"{image.width}x{image.height}"
                what = f"the annotation file says {width}x{height} (width x height)"
                raise Problem(str(path), "size", size, what, "use the frames that belong to it").error()
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except FileNotFoundError:
        remedy = "unpack the frames of the data set there, or point --data to them"
        raise Problem(str(path), "", "", "this frame does not exist", remedy).error() from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow reports damage by any of these
        reason = getattr(error, "strerror", None) or str(error).split(" file '")[0]
        raise Problem(str(path), "", reason, "this frame cannot be read", again).error() from error
