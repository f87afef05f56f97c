"""How a still image is shown as a frame of a video: turned, moved and enlarged, as by a hand-held camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

GREY = (124, 116, 104)
"""What lies outside of an image: the mean of ImageNet, which models see as zero."""


@dataclass(frozen=True)
class Pose:
    """Where the camera looks: at a point of the image, turned, from near or far."""

    x: float  # of the point in the middle of the frame, pixels of the image; (0, 0) is the corner of its first pixel
    y: float
    angle: float  # radians
    scale: float  # pixels of the image for one of the frame

    def towards(self, other: Pose, share: float) -> Pose:
        """A pose on the way to another one, ``share`` of it in [0, 1]."""
        pairs = ((self.x, other.x), (self.y, other.y), (self.angle, other.angle), (self.scale, other.scale))
        return Pose(*(here + share * (there - here) for here, there in pairs))


@dataclass(frozen=True)
class Warp:
    """An image as a pose shows it, in frames of ``height`` x ``width``.

    The centre (u, v) of a pixel of the frame shows the point

        (x, y) + scale * R(angle) (u - width / 2, v - height / 2)

    of the image. Its mask is that of the pixel of the full-size mask in which the point lies: nothing is rounded twice.
    """

    pose: Pose
    height: int
    width: int

    def frame(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] -> [height, width, 3], bilinear; grey where the image ends."""
        matrix = self._matrix.copy()
        matrix[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5  # OpenCV's coordinates are zero at the centre of the first pixel
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (self.width, self.height)
        return cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=GREY)

    def masks(self, masks: np.ndarray) -> np.ndarray:
        """[N, H, W] bool -> [N, height, width] bool; False where the image ends."""
        shown = np.zeros((len(masks), self.height, self.width), bool)
        column, row = (np.floor(axis).astype(np.int64) for axis in self._points)
        inside = (column >= 0) & (column < masks.shape[2]) & (row >= 0) & (row < masks.shape[1])
        shown[:, inside] = masks[:, row[inside], column[inside]]
        return shown

    @cached_property
    def _matrix(self) -> np.ndarray:
        """[2, 3]: (u, v, 1) -> (x, y)."""
        cos, sin = self.pose.scale * np.cos(self.pose.angle), self.pose.scale * np.sin(self.pose.angle)
        turned = np.array([(cos, -sin), (sin, cos)])
        moved = np.array([self.pose.x, self.pose.y]) - turned @ (self.width / 2, self.height / 2)
        return np.column_stack([turned, moved])

    @property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y [height, width] of what each pixel's centre shows."""
        u, v = np.arange(self.width) + 0.5, (np.arange(self.height) + 0.5)[:, None]
        (a, b, c), (d, e, f) = self._matrix
        return a * u + b * v + c, d * u + e * v + f
