"""The one place that knows where "no object" shows in class logits: in the last column, or in no column.

``column``: logits are [..., K+1] in the order [classes of step 0, of step 1, ..., no-object], of which the softmax is
taken. An old model's are [..., o+1] in the order [old classes, no-object].

``sigmoid``: logits are [..., K], and of each the sigmoid is taken. It is no object if all of them are small.

Targets are columns, so a target of no object is K, with either.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from cvis.segmenters.shared_batch import mean_of_all

Background = Literal["column", "sigmoid"]
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2


def num_classes(logits: Tensor, background: Background = "column") -> int:
    """K, which is also the column of no-object."""
    return logits.shape[-1] - (background == "column")


def split(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Of the classes [..., K], and of no-object [..., 1]; probabilities and log-probabilities split alike."""
    return logits[..., :-1], logits[..., -1:]


def join(classes: Tensor, no_object: Tensor) -> Tensor:
    """The inverse of :func:`split`."""
    return torch.cat([classes, no_object], dim=-1)


def class_probabilities(logits: Tensor, background: Background = "column") -> Tensor:
    """Of the softmax over classes and no-object, the part of the classes, or the sigmoids: [..., K]."""
    return logits.sigmoid() if background == "sigmoid" else split(logits.softmax(-1))[0]


def object_probability(logits: Tensor, background: Background = "column") -> Tensor:
    """That a slot shows a class: 1 - p(no-object), or the greatest sigmoid, as dense detectors score; [...]."""
    if background == "sigmoid":
        return logits.sigmoid().amax(-1)
    return 1 - split(logits.softmax(-1))[1][..., 0]


def old_columns(logits: Tensor, num_old: int) -> Tensor:
    """The columns [..., o+1] of the first ``num_old`` classes and of no-object, in an old model's order."""
    return logits[..., [*range(num_old), num_classes(logits)]]


def is_no_object(columns: Tensor, logits: Tensor, background: Background = "column") -> Tensor:
    """Which targets are of no object: bool, shaped as ``columns``."""
    return columns == num_classes(logits, background)


def weighted_nll(log_p: Tensor, columns: Tensor, no_object_weight: float) -> Tensor:
    """sum w_i -log p_i(c_i) / sum w_i over all queries, of all processes; w is 1 for classes.

    Args:
        log_p: [B, Q, K+1] log-probabilities.
        columns: c [B, Q] int64.
        no_object_weight: w of no-object.
    """
    weight = log_p.new_ones(log_p.shape[-1])
    weight[-1] = no_object_weight
    mean = F.nll_loss(log_p.flatten(0, 1), columns.flatten(), weight)
    if get_world_size() == 1:
        return mean
    total = weight[columns].sum()
    return mean * total / mean_of_all(total)


def sigmoid_focal(
    logits: Tensor, columns: Tensor, no_object_weight: float = 1.0, weight: Tensor | float = 1.0
) -> Tensor:
    """The focal loss of sigmoids (Lin et al., ICCV 2017), normalised as in FCOS:

        sum_ic w_ic a_ic (1 - r_ic)^2 -log r_ic / number of slots with a class (at least 1), of all processes

    where r_ic = p_ic and a_ic = 0.25 for the class of a slot, r_ic = 1 - p_ic and a_ic = 0.75 for all others.

    Args:
        logits: [B, N, K].
        columns: [B, N] int64; K is no-object.
        no_object_weight: on the slots without a class.
        weight: w, that broadcasts to [B, N, K].
    """
    own = (columns[..., None] == torch.arange(logits.shape[-1], device=columns.device)).to(logits.dtype)
    wrong = (own - logits.sigmoid()).abs()
    alpha = own * FOCAL_ALPHA + (1 - own) * (1 - FOCAL_ALPHA)
    values = alpha * wrong**FOCAL_GAMMA * F.binary_cross_entropy_with_logits(logits, own, reduction="none")
    nothing = is_no_object(columns, logits, "sigmoid")
    of_slots = torch.ones_like(wrong[..., :1]).masked_fill(nothing[..., None], no_object_weight)
    found = mean_of_all((~nothing).sum().to(values.dtype))
    return (weight * of_slots * values).sum() / found.clamp(min=1 / get_world_size())
