"""Where a token stands in a clip: sines and cosines of z, y and x, side by side."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 10000


def position_code(valid: Tensor, dim: int) -> Tensor:
    """VisTR's code: a third of the channels for each of z, y and x (not their sum).

    Of an axis, u in (0, 2 pi] is the number of valid places up to this one over that of all, and channels 2k and 2k + 1
    are sin and cos of u / 10000^(2k / (dim / 3)).

    Args:
        valid: [B, T, h, w] bool: image, not padding.
        dim: channels, a multiple of 6.

    Returns:
        [B, T, h, w, dim], single precision.
    """
    each = dim // 3
    period = TEMPERATURE ** (torch.arange(0, each, 2, device=valid.device) / each)
    codes = []
    for axis in (1, 2, 3):
        place = valid.cumsum(axis, dtype=torch.float32)
        angle = place / (place.narrow(axis, -1, 1) + 1e-6) * (2 * math.pi)
        angle = angle[..., None] / period
        codes.append(torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2))
    return torch.cat(codes, dim=-1)
