"""CBAM (Woo et al., ECCV 2018) for video: which channels count, and then which places and times."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CBAM3D(nn.Module):
    """F' = M_c(F) * F, F'' = M_s(F') * F'.

        M_c(F) = sigmoid(W_1 ReLU(W_0 avg_THW F) + W_1 ReLU(W_0 max_THW F))     one number for each channel
        M_s(F) = sigmoid(conv_7x7x7([mean_C F; max_C F]))                       one number for each pixel

    Args:
        channels: C.
        reduction: r; W_0 has C / r rows, at least one.
        kernel: side of the convolution of M_s, odd.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, channels, bias=False)
        )
        self.conv = nn.Conv3d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, T, h, w], and so comes out."""
        channel = self.mlp(features.mean((2, 3, 4))) + self.mlp(features.amax((2, 3, 4)))
        features = channel.sigmoid()[..., None, None, None] * features
        place = self.conv(torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], dim=1))
        return place.sigmoid() * features
