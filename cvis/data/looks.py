"""What the objects of the synthetic videos look like: flat shapes in eight textures.

There are five simple shapes, and forty that are one of eight outlines around one of five holes. Each is symmetric about
its vertical axis, so that a horizontal flip, the augmentation of every VIS method, never turns one class into another;
and each stays itself under the small rotations that the videos use. A texture is a pattern in a family of colours.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

SHAPES = ("disc", "triangle", "cross", "ring", "arch")
HOLES = ("plain", "round", "wide", "tall", "crossed")
RIMS = ("disc", "square", "kite", "triangle", "wedge", "cross", "house", "shield")
"""Outlines with room for a hole."""

_SUPERSAMPLING = 4
_FRACTION_BITS = 4  # cv2 draws at 1/16 of a supersampled pixel


def _circle(radius: float, start: float = 0.0, stop: float = 2 * np.pi, points: int = 40) -> np.ndarray:
    angle = np.linspace(start, stop, points)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _cross(arm: float = 0.38) -> np.ndarray:
    quarter = [(arm, -1), (arm, -arm), (1, -arm)]
    corners = quarter + [(x, -y) for x, y in reversed(quarter)]
    return np.array(corners + [(-x, y) for x, y in reversed(corners)])


def _arch(inner: float = 0.42) -> np.ndarray:
    outside = _circle(1.0, np.pi, 2 * np.pi)
    inside = _circle(inner, 2 * np.pi, np.pi)
    return np.concatenate([outside, [(1, 0.9), (inner, 0.9)], inside, [(-inner, 0.9), (-1, 0.9)]])


def _box(right: float, bottom: float) -> np.ndarray:
    return np.array([(-right, -bottom), (right, -bottom), (right, bottom), (-right, bottom)])


def _house() -> np.ndarray:
    return np.array([(0, -1.3), (0.85, -0.5), (0.85, 1.0), (-0.85, 1.0), (-0.85, -0.5)])


_RIMS = {
    "disc": _circle(1.05),
    "square": _box(0.92, 0.92),
    "kite": np.array([(0, -1.35), (0.95, 0), (0, 1.35), (-0.95, 0)]),
    "triangle": np.array([(0, -1.35), (1.2, 0.78), (-1.2, 0.78)]),
    "wedge": np.array([(0, 1.35), (1.2, -0.78), (-1.2, -0.78)]),
    "cross": _cross(0.52) * 1.15,
    "house": _house(),
    "shield": -_house(),
}
_HOLES: dict[str, tuple[np.ndarray, ...]] = {
    "plain": (),
    "round": (_circle(0.42),),
    "wide": (_box(0.58, 0.2),),
    "tall": (_box(0.2, 0.62),),
    "crossed": (_cross(0.3) * 0.6,),
}
_OUTLINES: dict[str, tuple[np.ndarray, ...]] = {
    "disc": (_circle(1.0),),
    "triangle": (np.array([(0, -1), (1.1, 0.9), (-1.1, 0.9)]),),
    "cross": (_cross(),),
    "ring": (_circle(1.05), _circle(0.48)),
    "arch": (_arch(),),
    **{f"{hole}_{rim}": (_RIMS[rim], *_HOLES[hole]) for rim in RIMS for hole in HOLES},
}

EXTENT = 1.45
"""No shape reaches farther than this from its centre, in units of its radius."""


def coverage(shape: str, centre: tuple[float, float], radius: float, angle: float, size: tuple[int, int]) -> np.ndarray:
    """How much of each pixel a shape covers.

    Args:
        centre: x and y in pixels; (0, 0) is the top left corner of the top left pixel.
        radius: half the width, pixels.
        angle: radians, clockwise in the image.
        size: height and width of the image, pixels.

    Returns:
        float32 [height, width] in [0, 1].
    """
    height, width = size
    canvas = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.uint8)
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([(cos, sin), (-sin, cos)])
    unit = _SUPERSAMPLING << _FRACTION_BITS
    contours = [
        # a sample's centre lies half a supersampled pixel inside it
        np.rint((outline @ rotation * radius + centre) * unit - (1 << _FRACTION_BITS) / 2).astype(np.int32)
        for outline in _OUTLINES[shape]
    ]
    cv2.fillPoly(canvas, contours, 255, lineType=cv2.LINE_8, shift=_FRACTION_BITS)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


@dataclass(frozen=True)
class Look:
    """What the surfaces of one texture have in common."""

    pattern: str
    hues: tuple[float, float]  # degrees


_LOOKS = {
    "solid_red": Look("solid", (-10, 14)),
    "striped_blue": Look("striped", (215, 238)),
    "checkered_green": Look("checkered", (105, 140)),
    "dotted_purple": Look("dotted", (270, 292)),
    "solid_cyan": Look("solid", (178, 196)),
    "striped_yellow": Look("striped", (46, 60)),
    "checkered_pink": Look("checkered", (318, 338)),
    "dotted_orange": Look("dotted", (24, 34)),
}
TEXTURES = tuple(_LOOKS)


@dataclass(frozen=True)
class Surface:
    """The texture of one object, with its own colours and period; it turns and grows with the object."""

    pattern: str
    dark: np.ndarray  # [3] RGB in [0, 255]
    light: np.ndarray  # [3]
    period: float  # in units of the object's radius

    @staticmethod
    def draw(texture: str, rng: np.random.Generator) -> Surface:
        """A surface of this texture, its colours and period jittered."""
        look = _LOOKS[texture]
        hue = rng.uniform(*look.hues) / 360 % 1
        if look.pattern == "solid":
            dark = light = _rgb(hue, rng.uniform(0.75, 0.95), rng.uniform(0.75, 0.95))
        else:
            dark = _rgb(hue, rng.uniform(0.8, 1.0), rng.uniform(0.4, 0.55))
            light = _rgb(hue, rng.uniform(0.2, 0.4), rng.uniform(0.9, 1.0))
        return Surface(look.pattern, dark, light, period=rng.uniform(0.5, 0.62))

    def paint(self, centre: tuple[float, float], radius: float, angle: float, size: tuple[int, int]) -> np.ndarray:
        """The surface as seen by an image of this size: float32 [height, width, 3] in [0, 255]."""
        height, width = size
        if self.pattern == "solid":
            return np.broadcast_to(self.dark, (height, width, 3))
        x = (np.arange(width, dtype=np.float32) + 0.5 - centre[0]) / radius
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - centre[1]) / radius
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        step = np.float32(2 * np.pi / self.period)
        u, v = (cos * x + sin * y) * step, (cos * y - sin * x) * step
        light = _PATTERNS[self.pattern](u, v).clip(0, 1)[..., None]
        return self.dark + light * (self.light - self.dark)


# The factors make the edges about one pixel soft at a radius of 15 pixels: clear, and no aliasing.
_PATTERNS = {
    "striped": lambda u, v: 0.5 + 1.2 * np.sin(v),
    "checkered": lambda u, v: 0.5 + 2.0 * np.sin(u / 2) * np.sin(v / 2),
    "dotted": lambda u, v: 0.9 * (np.cos(u) + np.cos(v) - 0.1),
}


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), np.float32) * 255
