"""ECLIPSE's classification loss: every class, and no-object, is a yes-or-no question."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

SCALE, ALPHA, GAMMA = 50.0, 5.0, 1.0


def sigmoid_focal(logits: Tensor, columns: Tensor, no_object_weight: float = 1.0) -> Tensor:
    """50 * mean over clips, queries and columns of alpha * BCE * (1 - p_t)^gamma, with alpha = 5, gamma = 1.

    p_t is the probability of the right answer: sigmoid(z) in the target's column, 1 - sigmoid(z) in the others.

    Args:
        logits: [B, Q, K+1]; the last column is no-object.
        columns: [B, Q] int64.
        no_object_weight: not used: the focal factor takes the place of class weights.
    """
    wanted = F.one_hot(columns, logits.shape[-1]).to(logits.dtype)
    bce = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    right = (-bce).exp()  # BCE = -log p_t
    return SCALE * (ALPHA * bce * (1 - right) ** GAMMA).mean()
