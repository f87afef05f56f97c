"""Five flat shapes for the synthetic videos.

Each is symmetric about its vertical axis, so that a horizontal flip, the augmentation of every VIS method,
never turns one class into another; and each stays itself under the small rotations that the videos use.
"""

from __future__ import annotations

import cv2
import numpy as np

SHAPES = ("disc", "triangle", "cross", "ring", "arch")

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


_OUTLINES: dict[str, tuple[np.ndarray, ...]] = {
    "disc": (_circle(1.0),),
    "triangle": (np.array([(0, -1), (1.1, 0.9), (-1.1, 0.9)]),),
    "cross": (_cross(),),
    "ring": (_circle(1.05), _circle(0.48)),
    "arch": (_arch(),),
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
