"""One synthetic video: objects that drift, overlap, leave and come back, drawn with their visible masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from cvis.data.looks import EXTENT, SHAPES, TEXTURES, Surface, coverage

MIN_VISIBLE = 16  # pixels; an object that shows less is absent from the frame

_EXCURSIONS = 0.45  # share of the objects that leave the picture for a while
DESIGN_SIDE = 64  # sizes and speeds below are pixels of a picture whose shorter side is this long


@dataclass(frozen=True)
class Body:
    """One object of a scene and its way through T frames; pixels and radians."""

    shape: str
    surface: Surface
    centres: np.ndarray  # [T, 2] x, y
    radii: np.ndarray  # [T]
    angles: np.ndarray  # [T]

    def pose(self, frame: int) -> tuple[tuple[float, float], float, float]:
        x, y = self.centres[frame]
        return (float(x), float(y)), float(self.radii[frame]), float(self.angles[frame])


@dataclass(frozen=True)
class Scene:
    """A drawn video of N objects."""

    frames: np.ndarray  # [T, H, W, 3] uint8 RGB
    masks: np.ndarray  # [N, T, H, W] bool: the visible pixels; empty where the object is absent


def five_and_eight(index: int) -> tuple[int, int]:
    """Which of five and which of eight things make the class with this index (0..39).

    The first twenty hold every one of the five, with four of the eight each, and all eight, so that features learned on
    them can tell the other twenty apart.
    """
    row, first = divmod(index, 5)
    return first, (first + row) % 8


def shape_and_texture(index: int) -> tuple[str, str]:
    """The class with this index, where both are in its name."""
    shape, texture = five_and_eight(index)
    return SHAPES[shape], TEXTURES[texture]


Look = Callable[[np.random.Generator, int], tuple[str, Surface]]
"""(generator, class) -> shape and surface of an object."""


def textured(rng: np.random.Generator, index: int) -> tuple[str, Surface]:
    """Shape and texture, as :func:`shape_and_texture` says."""
    shape, texture = shape_and_texture(index)
    return shape, Surface.draw(texture, rng)


def apart(rng: np.random.Generator, taken: list[np.ndarray], extent: np.ndarray) -> np.ndarray:
    """The best of three random places (x, y), the farthest from those ``taken``; it is now one of them."""
    places = rng.uniform(0.22, 0.78, (3, 2)) * extent
    gaps = [min((float(np.linalg.norm(p - other)) for other in taken), default=0.0) for p in places]
    taken.append(places[int(np.argmax(gaps))])
    return taken[-1]


def place(
    rng: np.random.Generator, classes: list[int], frames: int, size: tuple[int, int], look: Look = textured
) -> list[Body]:
    """Draw the objects' looks and ways. They lie :func:`apart`: overlaps are common, but seldom complete."""
    extent = np.array([size[1], size[0]], float)
    taken: list[np.ndarray] = []
    bodies = []
    for index in classes:
        radius = rng.uniform(11.5, 19.5) * min(size) / DESIGN_SIDE
        anchor = apart(rng, taken, extent)
        shape, surface = look(rng, index)
        time = np.linspace(-0.5, 0.5, frames)
        radii = radius * np.exp(rng.uniform(-0.25, 0.25) * time)
        angles = np.deg2rad(rng.uniform(-12, 12) + rng.uniform(-16, 16) * time)
        centres = anchor + time[:, None] * rng.uniform(-0.22, 0.22, 2) * extent
        if rng.random() < _EXCURSIONS:
            centres = centres + _excursion(rng, anchor, radius, frames, extent)
        bodies.append(Body(shape, surface, centres, radii, angles))
    return bodies


Place = Callable[[np.random.Generator, list[int], int, tuple[int, int]], list[Body]]
"""(generator, classes, frames, (height, width)) -> the objects of a scene, from back to front."""


def draw_scene(
    rng: np.random.Generator, classes: list[int], frames: int, size: tuple[int, int], place: Place = place
) -> Scene:
    """A video of ``size`` (height, width) with one object of each listed class, every one of them visible
    in at least two frames (in one, if there is only one); later objects lie in front.

    Args:
        place: draws the objects' looks and ways.
    """
    while True:
        bodies = place(rng, classes, frames, size)
        covers = np.stack([_covers(body, size) for body in bodies])
        masks = _visible(covers)
        if (masks.any(axis=(2, 3)).sum(axis=1) >= min(2, frames)).all():
            return Scene(_render(rng, bodies, covers, size), masks)


def _excursion(
    rng: np.random.Generator, anchor: np.ndarray, radius: float, frames: int, extent: np.ndarray
) -> np.ndarray:
    """[T, 2] a smooth way out of the picture and back; cut off by the video's first or last frame, it is an
    entrance or an exit."""
    axis = int(rng.integers(2))
    forward = anchor[axis] > extent[axis] / 2
    distance = extent[axis] - anchor[axis] if forward else anchor[axis]
    reach = distance + EXTENT * radius + 0.11 * extent[axis]  # beyond the edge, whatever the drift
    middle = int(rng.integers(frames))
    phase = (np.arange(frames) - middle) / rng.uniform(3.0, 5.0)
    shift = np.zeros((frames, 2))
    shift[:, axis] = np.cos(np.pi / 2 * phase.clip(-1, 1)) ** 2 * (reach if forward else -reach)
    return shift


def _covers(body: Body, size: tuple[int, int]) -> np.ndarray:
    """[T, H, W] each pixel's share that the object would cover if it were alone."""
    poses = (body.pose(t) for t in range(len(body.radii)))
    return np.stack([coverage(body.shape, *pose, size) for pose in poses])


def _visible(covers: np.ndarray) -> np.ndarray:
    """Amodal coverage [N, T, H, W], back to front -> visible masks, bool; slivers count as absent."""
    masks = covers > 0.5
    free = np.ones(masks.shape[1:], bool)
    for mask in masks[::-1]:
        solid = mask.copy()
        mask &= free
        free &= ~solid
    masks[masks.sum(axis=(2, 3)) < MIN_VISIBLE] = False
    return masks


def _render(rng: np.random.Generator, bodies: list[Body], covers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    background = _background(rng, size)
    frames = np.empty((covers.shape[1], *size, 3), np.uint8)
    for t, frame in enumerate(frames):
        image = background
        for body, cover in zip(bodies, covers[:, t], strict=True):
            if cover.any():
                image = image + cover[..., None] * (body.surface.paint(*body.pose(t), size) - image)
        noise = rng.integers(-4, 5, (*size, 1), dtype=np.int8)  # the camera's, new in every frame
        frame[:] = np.rint(image + noise).clip(0, 255)
    return frames


def _background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """[H, W, 3] a greyish, smooth, uneven ground that stays the same through the video."""
    grey = rng.uniform(70, 185)
    coarse = grey + rng.uniform(-22, 22, (3, 4, 1)) + rng.uniform(-10, 10, (3, 4, 3))
    smooth = cv2.resize(coarse.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(-3, 4, (*size, 1), dtype=np.int8)
    return smooth + grain
