"""The shapes of a CVAT track, in the frames that have one in the file and in those between, as CVAT shows them.

A shape stands until the next one. In the frames between, boxes and ellipses move evenly, and polygons by their outline:
the points of both are matched by how far along the outline they are, from the first point on, and each pair moves
evenly. Masks do not: they are there in their own frames alone. After ``outside`` there is nothing until the next shape,
and after the last shape it stays to the end of the task.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from cvis.data.formats.format import AGAIN
from cvis.data.formats.shapes import box, ellipse, pasted
from cvis.data.rle import encode
from cvis.errors import UserError, short

INSIDE = ("box", "ellipse", "polygon", "mask")
_NUMBERS = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}
_PART = ("left", "top", "width", "height")


@dataclass(frozen=True)
class Shape:
    """What is drawn in a frame.

    Attributes:
        drawn: box, ellipse: float ``[4]`` as in the file; polygon: float ``[N, 2]``; mask: the run lengths, row by row,
            of its part of the frame.
        part: left, top, width and height of a mask.
    """

    frame: int
    kind: str
    outside: bool
    drawn: np.ndarray
    rotation: float = 0.0
    part: tuple[int, ...] = ()

    def segmentation(self, height: int, width: int, where: str) -> Any:
        """As :func:`cvis.data.rle.read_segmentation` takes it.

        Raises:
            UserError: a mask is larger than the frame.
        """
        if self.kind == "mask":
            left, top, across, down = self.part
            if across > width or down > height:
                what = f"the frame has {width}x{height} (width x height)"
                raise UserError(f"{where}: mask: {across}x{down}: {what}; {AGAIN}")
            values = np.arange(len(self.drawn)) % 2 == 1
            pixels = np.repeat(values, self.drawn).reshape(down, across)
            return encode(pasted(pixels, left, top, height, width)) or []
        if self.kind == "polygon":
            return [self.drawn.reshape(-1).tolist()]
        draw = box if self.kind == "box" else ellipse
        a, b, c, d = self.drawn.tolist()
        return [draw(a, b, c, d, self.rotation)]

    def towards(self, other: Shape, frame: int) -> Shape:
        """The shape in a frame on the way to another one of its kind."""
        share = (frame - self.frame) / (other.frame - self.frame)
        if self.kind == "polygon":
            drawn = between(self.drawn, other.drawn, share)
        else:
            drawn = self.drawn + (other.drawn - self.drawn) * share
        turn = (other.rotation - self.rotation + 180) % 360 - 180  # the shorter way round
        return Shape(frame, self.kind, False, drawn, self.rotation + turn * share)


def filled(shapes: Mapping[int, Shape], frames: Mapping[int, int]) -> Iterator[tuple[int, Shape]]:
    """The shape in every frame of the task in which the object is to be seen, in order.

    Args:
        shapes: those in the file, by their frames.
        frames: the task's, in order.
    """
    ordered = sorted(shapes.values(), key=lambda shape: shape.frame)
    following = iter([*ordered[1:], None])
    before, after = ordered[0], next(following)
    for frame in frames:
        while after is not None and after.frame <= frame:
            before, after = after, next(following)
        if frame < before.frame or before.outside:
            continue
        if frame == before.frame or (after is None and before.kind != "mask"):
            yield frame, before
        elif after is not None and after.kind == before.kind != "mask":
            yield frame, before.towards(after, frame)


def between(left: np.ndarray, right: np.ndarray, share: float) -> np.ndarray:
    """A polygon on the way from one to another, float ``[N, 2]`` each.

    >>> square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])
    >>> between(square, square + [4, 0], 0.5)[:2].tolist()
    [[2.0, 0.0], [4.0, 0.0]]
    """
    left, right = (np.concatenate([outline, outline[:1]]) for outline in (left, right))  # back to the first point
    there, back = _along(left), _along(right)
    pairs = set(enumerate(_nearest(there, back).tolist()))
    missed = np.setdiff1d(np.arange(len(right)), [j for _, j in pairs])
    pairs |= set(zip(_nearest(back[missed], there).tolist(), missed.tolist(), strict=True))
    i, j = np.array(sorted(pairs)).T
    return (left[i] + (right[j] - left[i]) * share)[:-1]


def _along(outline: np.ndarray) -> np.ndarray:
    """How far along the outline each point is, from 0 to 1."""
    way = np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))
    return np.concatenate([[0.0], way]) / max(way[-1], 1e-9)


def _nearest(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """The index of the nearest of some ascending numbers, of two the first."""
    after = np.searchsorted(ascending, values).clip(1, len(ascending) - 1)
    nearer = values - ascending[after - 1] <= ascending[after] - values
    return np.where(nearer, after - 1, after)


def shape_of(element: Element, where: str) -> Shape:
    """A shape of the file.

    Raises:
        UserError: a number of it is missing or none.
    """
    frame = _whole(element, "frame", where)
    where = f"{where}: frame {frame}: {element.tag}"
    outside = element.get("outside") == "1"
    if element.tag == "mask":
        part = tuple(_whole(element, key, where) for key in _PART)
        runs = _runs(element.get("rle") or "", part[2] * part[3], where)
        return Shape(frame, "mask", outside, runs, 0.0, part)
    if element.tag == "polygon":
        pairs = [pair.split(",") for pair in (element.get("points") or "").split(";")]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            raise UserError(f"{where}: points: {short(element.get('points'))}: is not x,y;x,y;x,y; {AGAIN}")
        points = np.array([[_real(value, "points", where) for value in pair] for pair in pairs])
        return Shape(frame, "polygon", outside, points)
    numbers = [_real(element.get(key), key, where) for key in _NUMBERS[element.tag]]
    rotation = _real(element.get("rotation", "0"), "rotation", where)
    return Shape(frame, element.tag, outside, np.array(numbers), rotation)


def _runs(text: str, pixels: int, where: str) -> np.ndarray:
    words = [word.strip() for word in text.split(",")]
    wrong = not all(word.isdecimal() and len(word) < 10 for word in words)
    if wrong or sum(map(int, words)) != pixels:
        raise UserError(f"{where}: rle: {short(text)}: are not the run lengths of {pixels} pixels; {AGAIN}")
    return np.array([int(word) for word in words])


def _whole(element: Element, key: str, where: str) -> int:
    value = element.get(key) or ""
    if not value.isdecimal() or len(value) > 9:
        raise UserError(f"{where}: {key}: {short(value)}: is not a whole number; {AGAIN}")
    return int(value)


def _real(value: str | None, key: str, where: str) -> float:
    try:
        number = float(value or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e9:
        raise UserError(f"{where}: {key}: {short(value)}: is not a number; {AGAIN}")
    return number
