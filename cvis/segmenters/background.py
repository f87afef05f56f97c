"""The one place that knows where "no object" stands among class logits: it is the last column.

Logits are [..., K+1] in the order [classes of step 0, of step 1, ..., no-object]. An old model's are [..., o+1] in the
order [old classes, no-object]. Targets are columns, so a target of no object is K.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from cvis.segmenters.shared_batch import mean_of_all


def num_classes(logits: Tensor) -> int:
    """K, which is also the column of no-object."""
    return logits.shape[-1] - 1


def split(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Of the classes [..., K], and of no-object [..., 1]; probabilities and log-probabilities split alike."""
    return logits[..., :-1], logits[..., -1:]


def join(classes: Tensor, no_object: Tensor) -> Tensor:
    """The inverse of :func:`split`."""
    return torch.cat([classes, no_object], dim=-1)


def class_probabilities(logits: Tensor) -> Tensor:
    """Of the softmax over classes and no-object, the part of the classes: [..., K]."""
    return split(logits.softmax(-1))[0]


def old_columns(logits: Tensor, num_old: int) -> Tensor:
    """The columns [..., o+1] of the first ``num_old`` classes and of no-object, in an old model's order."""
    return logits[..., [*range(num_old), num_classes(logits)]]


def is_no_object(columns: Tensor, logits: Tensor) -> Tensor:
    """Which targets are of no object: bool, shaped as ``columns``."""
    return columns == num_classes(logits)


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
