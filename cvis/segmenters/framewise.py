"""How our models begin: frames are normalised and padded, and a backbone sees them one by one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cvis.segmenters.contract import SharedFeatures
from cvis.segmenters.inputs import padded
from cvis.segmenters.outputs import Maps


class Framewise(SharedFeatures):
    """A model whose backbone reads frame by frame.

    Attributes:
        mean, std: of RGB in 0..255, [3, 1, 1]; buffers, but no part of the state.
        size_divisor: frames are padded with zeros, after normalisation, to a multiple of it.
        memory_format: of what the backbone reads.
    """

    mean: Tensor
    std: Tensor
    size_divisor: int
    memory_format: torch.memory_format = torch.contiguous_format

    def set_input(self, mean: Sequence[float], std: Sequence[float], size_divisor: int) -> None:
        """Say how frames are normalised and padded; once, in the constructor."""
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.size_divisor = size_divisor

    def extract(self, frames: Tensor, sizes: Tensor | None = None) -> Maps:
        """Normalise, pad, and run the backbone frame by frame.

        Args:
            frames: uint8 RGB [B, T, 3, H, W].
            sizes: [B, 2], height and width before the clip was padded; None: all of it is image.
        """
        images = self.normalise(frames, sizes).flatten(0, 1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.backbone_frozen):
            levels = self.backbone(images.contiguous(memory_format=self.memory_format))
        return Maps(tuple(levels), frames.shape[1], (images.shape[-2], images.shape[-1]))

    def normalise(self, frames: Tensor, sizes: Tensor | None = None) -> Tensor:
        """(frame - mean) / std, zero outside ``sizes``, and zero-padded to the size divisor: float [B, T, 3, H, W]."""
        images = (frames - self.mean) / self.std
        for index, (height, width) in enumerate([] if sizes is None else sizes.tolist()):
            images[index, ..., height:, :] = 0
            images[index, ..., width:] = 0
        return padded(images, self.size_divisor)
