"""Tracks drawn onto a frame: a translucent mask, its contour, and a label that stays inside the frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cvis.report.pictures.identities import Colour

DARK: Colour = (20, 20, 22)
LIGHT: Colour = (240, 240, 240)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
OPACITY = 0.5  # of a mask
PLATE = 0.85  # of the plate behind a label


class Label(NamedTuple):
    """What is written beside a mask. The name is cut where there is no room, what follows it never.

    >>> Label("cat", 0.823, 2).tail
    ' 0.82 +2'
    """

    name: str
    score: float | None = None  # None for ground truth
    others: int = 0  # further answers for the same object, which are not drawn

    @property
    def tail(self) -> str:
        return ("" if self.score is None else f" {self.score:.2f}") + (f" +{self.others}" if self.others else "")


class Box(NamedTuple):
    """Pixels x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    def common(self, other: Box) -> int:
        """The area that two boxes share."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0) * max(height, 0)


def overlay(
    frame: np.ndarray, masks: Sequence[np.ndarray | None], labels: Sequence[Label], colours: Sequence[Colour]
) -> np.ndarray:
    """Draw N tracks onto one frame.

    Args:
        frame: uint8 ``[H, W, 3]``, RGB; small ones are enlarged before, so that a label can be read.
        masks: N of bool ``[H, W]``; None or empty: not in this frame, and then neither mask nor label is drawn.
        labels: N.
        colours: N.

    Returns:
        uint8 ``[H, W, 3]``; ``frame`` itself is left as it is.
    """
    visible = {n: np.asarray(mask, np.uint8) for n, mask in enumerate(masks) if mask is not None and mask.any()}
    canvas = frame.copy()
    by_size = sorted(visible, key=lambda n: -np.count_nonzero(visible[n]))
    for n in by_size:  # the largest first: what lies on it stays visible
        inside = visible[n] > 0
        canvas[inside] = np.round((1 - OPACITY) * canvas[inside] + OPACITY * np.array(colours[n])).astype(np.uint8)
    for n in by_size:
        _contour(canvas, visible[n], colours[n])
    boxes = [_bounds(mask) for mask in visible.values()]
    return _write_labels(canvas, boxes, [labels[n] for n in visible], [colours[n] for n in visible])


def text_size(height: int, width: int) -> int:
    """Pixels of a label's font in a picture of this size."""
    return min(max(round(min(height, width) / 19), 12), 24)


def _contour(canvas: np.ndarray, mask: np.ndarray, colour: Colour) -> None:
    """The outline in its colour on a wider dark one: it can be seen on any background."""
    lines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    thick = max(2, round(min(mask.shape) / 180))
    cv2.drawContours(canvas, lines, -1, DARK, thick + 2, cv2.LINE_AA)
    cv2.drawContours(canvas, lines, -1, colour, thick, cv2.LINE_AA)


def _bounds(mask: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _write_labels(
    canvas: np.ndarray, boxes: Sequence[Box], labels: Sequence[Label], colours: Sequence[Colour]
) -> np.ndarray:
    height, width = canvas.shape[:2]
    size = text_size(height, width)
    pad = max(2, size // 4)
    texts = [shortened(label.name, size, width - 2 * pad, label.tail) for label in labels]
    places: list[Box] = []
    for box, text in zip(boxes, texts, strict=True):
        plate = (width_of(text, size) + 2 * pad, line_height(size) + 2)
        places.append(_place(box, plate, places, (width, height)))
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image, "RGBA")
    for place, text, colour in zip(places, texts, colours, strict=True):
        corners = (place.x0, place.y0, place.x1 - 1, place.y1 - 1)
        draw.rounded_rectangle(corners, radius=pad, fill=(*colour, round(255 * PLATE)), outline=DARK)
        write(draw, place.x0 + pad, place.y0 + 1, text, size, ink_on(colour))
    return np.asarray(image)


def _place(box: Box, plate: tuple[int, int], taken: Sequence[Box], room: tuple[int, int]) -> Box:
    """Where a label of this width and height goes: inside the frame, near its mask, on no other label if possible."""
    best, least = None, 0
    for x, y in _candidates(box, plate, room):
        place = Box(x, y, x + plate[0], y + plate[1])
        covered = sum(place.common(other) for other in taken)
        if best is None or covered < least:
            best, least = place, covered
        if not covered:
            break
    assert best is not None  # there is always a candidate
    return best


def _candidates(box: Box, plate: tuple[int, int], room: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Above the mask, below it, on its upper edge; then from there down and up, a line at a time."""
    (width, height), (right, bottom) = plate, (max(room[0] - plate[0], 0), max(room[1] - plate[1], 0))
    x = min(max((box.x0 + box.x1 - width) // 2, 0), right)
    if box.y0 >= height:
        yield x, box.y0 - height
    if box.y1 <= bottom:
        yield x, box.y1
    start = min(max(box.y0, 0), bottom)
    yield x, start
    for distance in range(height, room[1], height):
        for y in (start + distance, start - distance):
            if 0 <= y <= bottom:
                yield x, y


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, bold. ``size`` in pixels."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"), size)


def width_of(text: str, size: int) -> int:
    """Pixels from the left end of a line of text to its right end."""
    return round(font(size).getlength(text))


def shortened(text: str, size: int, room: int, tail: str = "") -> str:
    """``text + tail`` if it fits into ``room`` pixels, else with the text cut off; the tail stays.

    >>> shortened("motorbike", 14, 89, " 0.87")
    'mot… 0.87'
    """
    whole = text + tail
    while text and width_of(whole, size) > room:
        text = text[:-1].rstrip()
        whole = f"{text}…{tail}"
    return whole


def write(draw: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, colour: Colour) -> None:
    """A line of text; the upper left corner of its box is at (x, y)."""
    draw.text((x, y), text, fill=colour, font=font(size))


def line_height(size: int) -> int:
    """Pixels of a line, with its descenders."""
    return sum(font(size).getmetrics())


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever is easier to read on a colour (by the contrast ratio of WCAG 2).

    >>> ink_on((240, 228, 66)), ink_on((0, 60, 120))
    ((0, 0, 0), (255, 255, 255))
    """
    parts = [c / 255 for c in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else WHITE
