"""A video that is too long to be kept in memory: what the queries read of it lies on disk, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from cvis.segmenters.outputs import Memory, joined_maps

LONGEST = 64
"""Frames of a video that is kept in memory whole, which is faster; more than any of YouTube-VIS has."""
LARGEST, AT_ONCE = 2**21, 2**20
"""On a CPU: pixels of a video that is kept in memory whole, and of the frames of it that pass the backbone together.
More is no faster there: 30 frames of 360 x 640 take the same time in windows of 4, and 1 GB less. A GPU wants more."""


def is_long(frames: int, pixels: int, device: torch.device) -> bool:
    """Whether a video with so many pixels a frame is too large to be kept in memory."""
    return frames > LONGEST or (device.type == "cpu" and frames * pixels > LARGEST)


def at_once(pixels: int, device: torch.device) -> int:
    """How many frames of so many pixels pass the backbone together, at most."""
    return max(1, AT_ONCE // pixels) if device.type == "cpu" else LONGEST


class LongMemory(Memory):
    """The memory of one video (B = 1), a window of which is read from disk at a time.

    Who does not know of windows may ask for its maps, and then has all of them in memory.

    Attributes:
        length: frames of the video.
    """

    length: int
    _files: list[Path]
    _device: torch.device

    def __init__(self, folder: Path, windows: Iterable[Memory]) -> None:
        """Write the windows, one by one as they are made, to files in ``folder``, an empty one."""
        files: list[Path] = []
        length = 0
        for window in windows:
            files.append(folder / f"{len(files)}.pt")
            torch.save([window.levels, window.mask_features, window.backbone], files[-1])
            length += window.mask_features.shape[1]
        device = window.mask_features.device
        vars(self).update(_files=files, _device=device, length=length, size=window.size)  # a Memory is frozen

    def windows(self, frames: int = 0) -> Iterator[Memory]:
        """As they were written, however many ``frames`` are asked for."""
        for file in self._files:
            levels, features, backbone = torch.load(file, mmap=True, weights_only=True)
            levels, backbone = (tuple(each.to(self._device) for each in maps) for maps in (levels, backbone))
            yield Memory(levels, features.to(self._device), self.size, backbone=backbone)

    @property
    def levels(self) -> tuple[Tensor, ...]:
        return joined_maps([window.levels for window in self.windows()])

    @property
    def mask_features(self) -> Tensor:
        return torch.cat([window.mask_features for window in self.windows()], dim=1)

    @property
    def backbone(self) -> tuple[Tensor, ...]:
        return joined_maps([window.backbone for window in self.windows()])
