"""Resize and flip: one draw for a whole clip, the same for its frames and its masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, slots=True)
class View:
    """How a clip is shown: resized to ``height`` x ``width``, then perhaps mirrored."""

    height: int
    width: int
    flip: bool = False

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [T, H, W, 3] -> [T, height, width, 3], bilinear, as mmdet does it."""
        return self._apply(frames, cv2.INTER_LINEAR)

    def masks(self, masks: np.ndarray) -> np.ndarray:
        """uint8 [M, H, W] -> [M, height, width], nearest neighbour.

        The exact variant takes the pixel under the centre of the new one. Plain ``INTER_NEAREST`` takes the
        one under its corner, and shifts masks against frames by up to half a pixel.
        """
        return self._apply(masks, cv2.INTER_NEAREST_EXACT)

    def _apply(self, images: np.ndarray, interpolation: int) -> np.ndarray:
        if len(images) and images.shape[1:3] != (self.height, self.width):
            size = (self.width, self.height)
            images = np.stack([cv2.resize(image, size, interpolation=interpolation) for image in images])
        return images[:, :, ::-1] if self.flip else images


def resized(height: int, width: int, short_side: int, max_size: int) -> tuple[int, int]:
    """Height and width with the aspect kept, the shorter side ``short_side`` pixels long, the longer one
    ``max_size`` at most.

    >>> resized(720, 1280, 360, 1333), resized(100, 1000, 360, 1333)
    ((360, 640), (133, 1333))
    """
    scale = min(short_side / min(height, width), max_size / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def draw_view(
    rng: np.random.Generator, height: int, width: int, short_sides: Sequence[int], max_size: int, flip: float
) -> View:
    """The shorter side uniform among ``short_sides``; mirrored with probability ``flip``."""
    short_side = int(rng.choice(short_sides))
    return View(*resized(height, width, short_side, max_size), flip=bool(rng.random() < flip))
