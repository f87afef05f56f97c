"""Words in a picture, in the one font that comes with matplotlib: equal pictures on every machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from cvis.report.pictures.colours import Colour


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
