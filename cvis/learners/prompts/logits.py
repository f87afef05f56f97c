"""Logit manipulation: what a query group says of no-object, and of the classes of the other groups (ECLIPSE)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FOREIGN = -10.0
"""The logit of a class that the group does not own."""


def manipulate(logits: Tensor, own: Sequence[int], delta: float) -> Tensor:
    """Let the other groups' classes speak for no-object, then silence them.

    With O the group's own columns, z the logits and ``limit(p)`` the clamp of p to [0.001, 0.999]:

    - delta > 0: z_no-object = logit(limit(delta * s)), s the sum over all classes outside O of sigmoid(z), at most 1;
    - delta < 0: z_no-object = logit(limit(-delta * sigmoid(z_no-object)));
    - delta = 0: z_no-object stays;

    and z_c = -10 for every class c outside O.

    Args:
        logits: [..., K+1]; the last column is no-object.
        own: columns of the group's classes.
        delta: the group's.

    Returns:
        [..., K+1], at least single precision.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    foreign = torch.ones(logits.shape[-1] - 1, dtype=torch.bool, device=logits.device)
    foreign[list(own)] = False
    classes, no_object = logits[..., :-1], logits[..., -1]
    if delta > 0:
        others = (classes.sigmoid() * foreign).sum(-1).clamp(0, 1)
        no_object = (delta * others).clamp(0.001, 0.999).logit()
    elif delta < 0:
        no_object = (-delta * no_object.sigmoid()).clamp(0.001, 0.999).logit()
    return torch.cat([classes.masked_fill(foreign, FOREIGN), no_object[..., None]], dim=-1)
