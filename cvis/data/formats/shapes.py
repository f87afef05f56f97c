"""Shapes that people draw, as polygons ``[x, y, x, y, ...]`` in pixels, and masks that are a part of a frame."""

from __future__ import annotations

import math

import numpy as np

_CORNERS = 72  # of an ellipse's polygon: within 0.1 % of its radius


def box(x0: float, y0: float, x1: float, y1: float, rotation: float = 0.0) -> list[float]:
    """A box, turned clockwise by ``rotation`` degrees around its middle.

    >>> box(0, 0, 4, 2)
    [0.0, 0.0, 4.0, 0.0, 4.0, 2.0, 0.0, 2.0]
    """
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)
    return _turned(corners, ((x0 + x1) / 2, (y0 + y1) / 2), rotation)


def ellipse(cx: float, cy: float, rx: float, ry: float, rotation: float = 0.0) -> list[float]:
    """An ellipse, turned clockwise by ``rotation`` degrees around its middle."""
    angles = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    return _turned(np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], 1), (cx, cy), rotation)


def _turned(points: np.ndarray, middle: tuple[float, float], degrees: float) -> list[float]:
    if degrees:
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        points = (points - middle) @ np.array([(c, s), (-s, c)]) + middle  # y points down: this is clockwise
    return [float(value) for value in points.reshape(-1)]


def pasted(part: np.ndarray, left: int, top: int, height: int, width: int) -> np.ndarray:
    """A bool mask ``[h, w]`` at its place in a frame, bool ``[height, width]``; what lies outside is cut off."""
    whole = np.zeros((height, width), bool)
    y0, x0 = max(top, 0), max(left, 0)
    seen = part[y0 - top : max(height - top, 0), x0 - left : max(width - left, 0)]
    whole[y0 : y0 + seen.shape[0], x0 : x0 + seen.shape[1]] = seen
    return whole
