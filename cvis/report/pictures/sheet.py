"""Pictures in a grid, and pictures on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.report.pictures.colours import DARK

GAP = 6
"""Pixels between the pictures of a grid."""
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def contact_sheet(frames: Iterable[np.ndarray], columns: int) -> np.ndarray:
    """Frames of one size in rows of ``columns``: uint8 ``[H, W, 3]``; the last row is filled up in black.

    Raises:
        ValueError: there is no frame, or they differ in size.
    """
    return grid(list(frames), max(columns, 1))


def grid(pictures: Sequence[np.ndarray], across: int) -> np.ndarray:
    """:func:`contact_sheet` of a list; a full row has ``across`` pictures."""
    if not pictures or len({picture.shape for picture in pictures}) > 1:
        shapes = sorted({picture.shape for picture in pictures})
        raise ValueError(f"pictures of a grid must have one size, and there must be some; found {shapes}")
    height, width = pictures[0].shape[:2]
    across = min(across, len(pictures))
    down = math.ceil(len(pictures) / across)
    page = np.empty((down * (height + GAP) - GAP, across * (width + GAP) - GAP, 3), np.uint8)
    page[:] = DARK
    for n, picture in enumerate(pictures):
        y, x = n // across * (height + GAP), n % across * (width + GAP)
        page[y : y + height, x : x + width] = picture
    return page


def write_picture(picture: np.ndarray, path: Path) -> None:
    """Write uint8 ``[H, W, 3]`` as .png, .jpg or .jpeg; atomic, and equal pictures give equal files.

    Raises:
        UserError: another suffix, or the file system refuses the write.
    """
    kind = PICTURES.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: {path.suffix!r}: not a kind of picture; use one of {', '.join(PICTURES)}")
    options = {"quality": 92, "subsampling": 0} if kind == "JPEG" else {}
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format=kind, **options)
