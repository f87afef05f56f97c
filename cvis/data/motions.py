"""Ways that have names: what a single frame cannot tell.

None is told from another by left and right, so that a horizontal flip leaves every name as it is.
"""

from __future__ import annotations

import numpy as np

from cvis.data.scenes import DESIGN_SIDE

MOTIONS = ("still", "rising", "sinking", "growing", "shrinking", "swaying", "bobbing", "pulsing")

PERIOD = (4.0, 7.0)
"""Frames of one swing or pulse."""


def way(
    motion: str, rng: np.random.Generator, middle: np.ndarray, frames: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Centres [T, 2] (x, y) around the middle, and radii [T], pixels, of an object that moves as it is called.

    What is drawn is the same for every motion: in the middle of a video (of a swing, for those that swing) all look
    alike.
    """
    height, width = size
    radius = rng.uniform(11.0, 15.0) * min(size) / DESIGN_SIDE
    strength, phase = rng.uniform(0.8, 1.2), rng.uniform(0, 2 * np.pi)
    swing = np.sin(2 * np.pi * np.arange(frames) / rng.uniform(*PERIOD) + phase)
    time = np.linspace(-0.5, 0.5, frames)
    none = np.zeros(frames)
    x = {"swaying": 0.14 * width * swing}.get(motion, none)
    y = {"rising": -0.5 * height * time, "sinking": 0.5 * height * time, "bobbing": 0.18 * height * swing}.get(
        motion, none
    )
    growth = {"growing": 0.9 * time, "shrinking": -0.9 * time, "pulsing": 0.3 * swing}.get(motion, none)
    return middle + strength * np.stack([x, y], axis=1), radius * np.exp(strength * growth)
