"""Pictures side by side and below each other, in one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cvis.report.pictures.colours import DARK

GAP = 6
"""Pixels between the pictures."""


def contact_sheet(pictures: Sequence[np.ndarray], across: int) -> np.ndarray:
    """Pictures of one size in rows of ``across``: uint8 ``[H, W, 3]``; the last row is filled up in black.

    Raises:
        ValueError: there is no picture, or they differ in size.
    """
    if not pictures or len({picture.shape for picture in pictures}) > 1:
        shapes = sorted({picture.shape for picture in pictures})
        raise ValueError(
            f"pictures of a contact sheet must have one size, and there must be some; these are of {shapes}"
        )
    height, width = pictures[0].shape[:2]
    across = min(across, len(pictures))
    down = math.ceil(len(pictures) / across)
    page = np.empty((down * (height + GAP) - GAP, across * (width + GAP) - GAP, 3), np.uint8)
    page[:] = DARK
    for n, picture in enumerate(pictures):
        y, x = n // across * (height + GAP), n % across * (width + GAP)
        page[y : y + height, x : x + width] = picture
    return page
