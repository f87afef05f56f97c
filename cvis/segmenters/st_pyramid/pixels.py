"""What is said of every pixel of a clip, and the Gaussians that pixels of one instance are told from others by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cvis.segmenters.outputs import SlotOutput

SCALE = 10.0
"""An inverse variance is SCALE * exp(b), b a bandwidth."""
FREE_DEVIATION = 0.3
"""Of the free dimensions beside coordinates; it is not learned."""


@dataclass(frozen=True)
class Pixels(SlotOutput):
    """Of B clips; N = T * h * w pixels, frame by frame and row by row. A slot is a pixel."""

    embeddings: Tensor  # [B, E, N]
    bandwidths: Tensor  # [B, V, N], b of the first V dimensions; those behind have FREE_DEVIATION
    heat: Tensor  # [B, N], whether it is the centre of an instance: 0..1
    size: tuple[int, int, int]  # T, h, w

    @property
    def variances(self) -> Tensor:
        """[B, E, N]: exp(-b) / SCALE."""
        learned = (-self.bandwidths).exp() / SCALE
        free = learned.new_tensor(FREE_DEVIATION**2)
        count = self.embeddings.shape[1] - learned.shape[1]
        return torch.cat([learned, free.expand(len(learned), count, learned.shape[2])], dim=1)


def gaussian(embeddings: Tensor, mean: Tensor, variance: Tensor, normalised: bool = False) -> Tensor:
    """p_ij = exp(-1/2 (e_i - mu_j)^T Sigma_j^-1 (e_i - mu_j)) of each pixel i and instance j.

    Args:
        embeddings: [E, N].
        mean, variance: [J, E]; Sigma_j is diagonal.
        normalised: divided by (2 pi)^(E/2) |Sigma_j|^(1/2), as the paper prints it. That is a density: for variances
            of one its greatest value is 0.025 in four dimensions, and for small ones it is in the thousands, so that
            p > 0.5 says nothing.

    Returns:
        [J, N].
    """
    distance = ((embeddings - mean[..., None]) ** 2 / variance[..., None]).sum(1)
    p = (-distance / 2).exp()
    if normalised:
        p = p / ((2 * math.pi) ** (mean.shape[1] / 2) * variance.prod(1).sqrt())[:, None]
    return p


def coordinates(size: tuple[int, int, int], stride: float, unit: float, like: Tensor) -> Tensor:
    """[2, T * h * w]: y and x of each pixel's centre.

    Args:
        size: T, h, w.
        stride: pixels of the frame from one to the next.
        unit: pixels of the frame that count 1.
    """
    time, height, width = size
    y, x = (
        (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) * stride / unit for side in (height, width)
    )
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij"))
    return grid[:, None].expand(-1, time, -1, -1).flatten(1)
