"""Four surface textures for the synthetic videos: a pattern and a family of hues each."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

TEXTURES = ("solid", "striped", "checkered", "dotted")

_HUES = {"solid": (-15, 25), "striped": (195, 235), "checkered": (95, 150), "dotted": (275, 320)}  # degrees


@dataclass(frozen=True)
class Surface:
    """The texture of one object, with its own colours and period; it turns and grows with the object."""

    texture: str
    dark: np.ndarray  # [3] RGB in [0, 255]
    light: np.ndarray  # [3]
    period: float  # in units of the object's radius

    @staticmethod
    def draw(texture: str, rng: np.random.Generator) -> Surface:
        """A surface of this texture, its colours and period jittered."""
        hue = rng.uniform(*_HUES[texture]) / 360 % 1
        if texture == "solid":
            dark = light = _rgb(hue, rng.uniform(0.75, 0.95), rng.uniform(0.75, 0.95))
        else:
            dark = _rgb(hue, rng.uniform(0.8, 1.0), rng.uniform(0.4, 0.55))
            light = _rgb(hue, rng.uniform(0.2, 0.4), rng.uniform(0.9, 1.0))
        return Surface(texture, dark, light, period=rng.uniform(0.5, 0.62))

    def paint(self, centre: tuple[float, float], radius: float, angle: float, size: tuple[int, int]) -> np.ndarray:
        """The surface as seen by an image of this size: float32 [height, width, 3] in [0, 255]."""
        height, width = size
        if self.texture == "solid":
            return np.broadcast_to(self.dark, (height, width, 3))
        x = (np.arange(width, dtype=np.float32) + 0.5 - centre[0]) / radius
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - centre[1]) / radius
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        step = np.float32(2 * np.pi / self.period)
        u, v = (cos * x + sin * y) * step, (cos * y - sin * x) * step
        light = _PATTERNS[self.texture](u, v).clip(0, 1)[..., None]
        return self.dark + light * (self.light - self.dark)


# The factors make the edges about one pixel soft at a radius of 15 pixels: clear, and no aliasing.
_PATTERNS = {
    "striped": lambda u, v: 0.5 + 1.2 * np.sin(v),
    "checkered": lambda u, v: 0.5 + 2.0 * np.sin(u / 2) * np.sin(v / 2),
    "dotted": lambda u, v: 0.9 * (np.cos(u) + np.cos(v) - 0.1),
}


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), np.float32) * 255
