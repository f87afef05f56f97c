"""Eight surface textures for the synthetic videos: a pattern in a family of colours each."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np


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
