"""The dynamic mask head (CondInst; Tian et al., ECCV 2020): a network of three 1x1 convolutions for each object."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.crossvis.layers import enlarged
from cvis.segmenters.crossvis.outputs import centres

WIDTH = 8
"""Channels between the convolutions."""


def shapes(channels: int) -> list[tuple[int, int]]:
    """(out, in) of the three convolutions that read ``channels`` of mask features and two of coordinates."""
    return [(WIDTH, channels + 2), (WIDTH, WIDTH), (1, WIDTH)]


def count_parameters(channels: int) -> int:
    """P.

    >>> count_parameters(8)
    169
    """
    return sum(out * (incoming + 1) for out, incoming in shapes(channels))


def dynamic_masks(
    filters: Tensor, points: Tensor, interest: Tensor, frame: Tensor, features: Tensor, stride: int, factor: int
) -> Tensor:
    """M_x = MaskHead([O_x; F]; theta_x), equations 1 and 2, before its sigmoid: [R, factor * h, factor * w] logits.

    O_x is (x - the pixel) / the size of interest of the level of x. Where filters are of one frame, and x and features
    of another, these are equations 6 and 7.

    Args:
        filters: theta [R, P]: the weights of the three convolutions, then their biases.
        points: x [R, 2] in pixels.
        interest: [R] in pixels.
        frame: [R] int64, whose features.
        features: [F, C, h, w].
        stride: of the features.
        factor: by which the answer is finer than they are.
    """
    layers = shapes(features.shape[1])
    parts = filters.split([out * incoming for out, incoming in layers] + [out for out, _ in layers], 1)
    relative = (points[:, None] - centres(features, stride)) / interest[:, None, None]
    x = torch.cat((relative.transpose(1, 2).to(features), features.flatten(2)[frame]), 1)  # [R, 2 + C, h * w]
    for index, shape in enumerate(layers):
        x = F.relu(x) if index else x
        x = torch.baddbmm(parts[len(layers) + index][..., None], parts[index].unflatten(1, shape), x)
    return enlarged(x.unflatten(2, features.shape[-2:])[:, 0], factor)


def dice_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """1 - 2 sum p q / (sum p^2 + sum q^2 + 1e-5) of each mask, equation 8: [R].

    Args:
        logits: [R, h, w] of p.
        wanted: q [R, h, w], 0 or 1.
    """
    p, q = logits.flatten(1).sigmoid(), wanted.flatten(1)
    return 1 - 2 * (p * q).sum(1) / (p.square().sum(1) + q.square().sum(1) + 1e-5)
