"""How a track moves: nine numbers from its masks alone, which no single frame knows."""

from __future__ import annotations

import torch
from torch import Tensor

MOTION = 9


def motion_of(masks: Tensor) -> Tensor:
    """What the masks of N tracks do over the frames that show them.

    Of each of the three signals s(t), x and y of the mask's centre in heights of the map and the logarithm of the root
    of its area, at times t from -1/2 to 1/2 over all T frames:

    - the slope of the line nearest to s (least squares);
    - the slope without its sign;
    - the root mean square of what that line leaves, which knows swings and pulses.

    Args:
        masks: [N, T, h, w] in [0, 1].

    Returns:
        [N, 9], the three slopes first; zeros of a track that is seen in fewer than two frames.

    >>> rising = torch.zeros(1, 3, 4, 4)
    >>> for frame in range(3):
    ...     rising[0, frame, 2 - frame, 1] = 1
    >>> motion_of(rising)[0, :3].tolist()  # half the picture's height, upwards
    [0.0, -0.5, 0.0]
    """
    frames, height, width = masks.shape[1:]
    area = masks.flatten(2).sum(-1)
    seen = area > 0
    safe = area.where(seen, 1)
    rows, columns = ((torch.arange(n, device=masks.device) + 0.5) / height for n in (height, width))
    signals = torch.stack(
        [masks.sum(-2) @ columns / safe, masks.sum(-1) @ rows / safe, safe.log() / 2], -1
    )  # [N, T, 3]
    time = torch.linspace(-0.5, 0.5, frames, device=masks.device)[:, None].expand_as(signals)
    signals, time = (_centred(values, seen[..., None]) for values in (signals, time))
    slope = (time * signals).sum(1) / time.square().sum(1).clamp(min=torch.finfo(time.dtype).tiny)
    left = (signals - slope[:, None] * time).square().sum(1) / seen.sum(1, keepdim=True).clamp(min=1)
    return torch.cat([slope, slope.abs(), left.sqrt()], -1)


def _centred(values: Tensor, seen: Tensor) -> Tensor:
    """Values [N, T, C] less their mean over the frames that are seen, and zero in the others."""
    mean = (values * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp(min=1)
    return (values - mean) * seen
