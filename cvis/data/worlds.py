"""What the names of the synthetic videos' classes are about: texture and shape, shape alone, or motion.

A method that looks at textures does well in the first world, and knows nothing of names in the two others: there every
object has one of the eight textures by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from cvis.data.looks import HOLES, RIMS, SHAPES, TEXTURES, Surface
from cvis.data.motions import MOTIONS, way
from cvis.data.scenes import Body, Place, apart, five_and_eight, place, shape_and_texture

NUM_CLASSES = 40


@dataclass(frozen=True)
class World:
    """The names of forty classes, and what draws objects of them."""

    name_of: Callable[[int], str]
    place: Place

    @property
    def names(self) -> list[str]:
        return [self.name_of(index) for index in range(NUM_CLASSES)]


def _texture_name(index: int) -> str:
    shape, texture = shape_and_texture(index)
    return f"{texture}_{shape}"


def _shape_name(index: int) -> str:
    hole, rim = five_and_eight(index)
    return f"{HOLES[hole]}_{RIMS[rim]}"


def _motion_name(index: int) -> str:
    shape, motion = five_and_eight(index)
    return f"{MOTIONS[motion]}_{SHAPES[shape]}"


def _any_surface(rng: np.random.Generator) -> Surface:
    return Surface.draw(TEXTURES[rng.integers(len(TEXTURES))], rng)


def _shaped(rng: np.random.Generator, index: int) -> tuple[str, Surface]:
    return _shape_name(index), _any_surface(rng)


def _place_moving(rng: np.random.Generator, classes: list[int], frames: int, size: tuple[int, int]) -> list[Body]:
    """Objects that make no excursions: each goes one way, which is its name."""
    taken: list[np.ndarray] = []
    bodies = []
    for index in classes:
        shape, motion = five_and_eight(index)
        surface = _any_surface(rng)
        angles = np.full(frames, np.deg2rad(rng.uniform(-12, 12)))
        middle = apart(rng, taken, np.array([size[1], size[0]], float))
        bodies.append(Body(SHAPES[shape], surface, *way(MOTIONS[motion], rng, middle, frames, size), angles))
    return bodies


WORLDS = {
    "texture": World(_texture_name, place),
    "shape": World(_shape_name, partial(place, look=_shaped)),
    "motion": World(_motion_name, _place_moving),
}
