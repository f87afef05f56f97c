"""Hungarian matching of queries and target tracks, all clips and all prediction layers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True)
class Matching:
    """Which query was matched to each of the G target tracks of a batch."""

    clip: Tensor  # [G] int64: the clip of each track; tracks in the order of the targets
    query: Tensor  # [L, G] int64: its query in each prediction layer; -1: more tracks than queries


MASK2FORMER = (2.0, 5.0, 5.0)
"""What class, BCE and dice weigh in the cost."""


def pairwise_cost(
    logits: Tensor, masks: Tensor, columns: Tensor, targets: Tensor, weights: Sequence[float] = MASK2FORMER
) -> Tensor:
    """cost = w0 * (-p[class]) + w1 * BCE + w2 * dice, BCE and dice over the M = points * frames of a mask.

    Args:
        logits: [..., Q, K+1] class logits.
        masks: [..., Q, M] mask logits at the points.
        columns: [..., N] int64 class columns of the targets.
        targets: [..., N, M] target masks at the points, in [0, 1].
        weights: w0, w1, w2.

    Returns:
        [..., Q, N].
    """
    # BCE(x, t) = softplus(x) - x * t, so that the pairs need one matrix product
    bce = (F.softplus(masks).sum(-1, keepdim=True) - masks @ targets.transpose(-1, -2)) / masks.shape[-1]
    of_class, of_mask, of_dice = weights
    dice = 1 - _soft_dice(masks.sigmoid(), targets)
    return -of_class * _wanted(logits, columns) + of_mask * bce + of_dice * dice


def product_cost(logits: Tensor, masks: Tensor, columns: Tensor, targets: Tensor) -> Tensor:
    """cost = -2 p d / (p + d), p the class probability and d = (2 m . t + 1) / (sum m + sum t + 1) the soft dice.

    CoMFormer's, for soft masks: m is the softmax over the queries at the points. Arguments as those of
    :func:`pairwise_cost`.
    """
    probability, dice = _wanted(logits, columns), _soft_dice(masks.softmax(-2), targets)
    return -2 * probability * dice / (probability + dice)


def _wanted(logits: Tensor, columns: Tensor) -> Tensor:
    """Probabilities [..., Q, N] of the targets' classes."""
    wanted = columns[..., None, :].expand(*logits.shape[:-1], columns.shape[-1])
    return logits.softmax(-1).gather(-1, wanted)


def _soft_dice(inside: Tensor, targets: Tensor) -> Tensor:
    """(2 m . t + 1) / (sum m + sum t + 1) of every pair [..., Q, N]."""
    sums = inside.sum(-1, keepdim=True) + targets.sum(-1)[..., None, :]
    return (2 * inside @ targets.transpose(-1, -2) + 1) / (sums + 1)


def assign(costs: Tensor, counts: Sequence[int]) -> Matching:
    """The cheapest one-to-one assignment of each layer and clip.

    Args:
        costs: [L, B, Q, N], where clip b has ``counts[b]`` <= N tracks and the rest is padding.
    """
    layers, total = len(costs), sum(counts)
    query = np.full((layers, total), -1, dtype=np.int64)
    # a cost that is not finite must not end the run here: the loss says so, with the names of the clips
    numbers = costs.float().cpu().nan_to_num(nan=1e6, posinf=1e6, neginf=-1e6).numpy()
    starts = np.cumsum([0, *counts])
    for clip, count in enumerate(counts):
        for layer in range(layers if count else 0):
            rows, tracks = linear_sum_assignment(numbers[layer, clip, :, :count])
            query[layer, starts[clip] + tracks] = rows
    clips = np.repeat(np.arange(len(counts)), counts)
    return Matching(torch.from_numpy(clips).to(costs.device), torch.from_numpy(query).to(costs.device))
