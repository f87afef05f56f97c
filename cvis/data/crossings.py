"""Ways on which identities are easily lost: two objects of one class cross again and again, and leave and return."""

from __future__ import annotations

import numpy as np

from cvis.data.looks import EXTENT, Surface
from cvis.data.scenes import DESIGN_SIDE, Body, place, shape_and_texture

PERIOD = (20.0, 36.0)
"""Frames of one swing to and fro; the two meet twice in it."""
LEAVING = 0.5
"""Share of the pairs that swing out of the picture, at both ends."""


def place_crossing(rng: np.random.Generator, classes: list[int], frames: int, size: tuple[int, int]) -> list[Body]:
    """The first two objects, which are of one class, swing through one point at opposite phases; others drift.

    The two have a surface each, as any two objects of a class: near colours and periods, so that who looks closely can
    tell them apart. One passes in front of the other.
    """
    extent = np.array([size[1], size[0]], float)
    shape, texture = shape_and_texture(classes[0])
    radii = rng.uniform(10.0, 14.0, 2) * min(size) / DESIGN_SIDE
    slope = rng.uniform(-0.5, 0.5)  # radians
    along, across = np.array([np.cos(slope), np.sin(slope)]), np.array([-np.sin(slope), np.cos(slope)])
    middle = extent * rng.uniform(0.42, 0.58, 2)
    beyond = extent[0] * 0.6 / np.cos(slope) + EXTENT * radii.max()  # of the nearer edge, and of the farther one
    reach = beyond if rng.random() < LEAVING else rng.uniform(0.24, 0.34) * extent[0]
    phase = 2 * np.pi * (np.arange(frames) / rng.uniform(*PERIOD) + rng.random())
    bodies = []
    for radius, side in zip(radii, (-1, 1), strict=True):
        path = side * (reach * np.cos(phase)[:, None] * along + 0.25 * radius * across)
        angle = np.deg2rad(rng.uniform(-12, 12) + 8 * np.sin(phase / 2))
        bodies.append(Body(shape, Surface.draw(texture, rng), middle + path, np.full(frames, radius), angle))
    return [*bodies, *place(rng, classes[2:], frames, size)]
