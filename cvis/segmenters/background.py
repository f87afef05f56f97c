"""The one place that knows where "no object" stands among class logits: it is the last column.

Logits are [..., K+1] in the order [classes of step 0, of step 1, ..., no-object]. An old model's are [..., o+1] in the
order [old classes, no-object]. Targets are columns, so a target of no object is K.
"""

from __future__ import annotations

import torch
from torch import Tensor


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


def column_weights(logits: Tensor, no_object_weight: float) -> Tensor:
    """A weight for every column [K+1]: 1 for classes."""
    weight = logits.new_ones(logits.shape[-1])
    weight[-1] = no_object_weight
    return weight
