"""What a learner's ``loss`` may return, and the sentence for everything else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cvis.errors import UserError, short
from cvis.segmenters import Segmenter


class LossError(UserError):
    """A loss that cannot be trained; names the class whose method returned it."""


def total_loss(losses: Any, learner: nn.Module, where: str, first: bool = False) -> Tensor:
    """The sum of named scalars, with its gradient.

    Args:
        losses: what ``learner.loss`` returned.
        where: step and iteration, for the message.
        first: look at values too, which would make a GPU wait: at the first batch of a step.

    Raises:
        LossError: no dict, no loss in it, something in it that is no scalar tensor, or no gradient.
    """
    says = f"{where}: {returned_by(learner)}"
    if not isinstance(losses, dict):
        what = "a scalar" if isinstance(losses, Tensor) and losses.dim() == 0 else kind_of(losses)
        raise LossError(f"{says}: returned {what}, not a dict; return scalars by name: {{'loss': value}}")
    if not losses:
        raise LossError(f"{says}: returned {{}}, no loss at all; return scalars by name: {{'loss': value}}")
    for name, value in losses.items():
        if not isinstance(value, Tensor):
            remedy = "return the tensor itself, without .item() or float()"
            raise LossError(f"{says}: {name!r}: is {kind_of(value)}, not a scalar tensor; {remedy}")
        if value.dim():
            raise LossError(f"{says}: {name!r}: is {kind_of(value)}, not a scalar; end it with .mean() or .sum()")
    total = torch.stack(list(losses.values())).sum()
    idle = [name for name, value in losses.items() if not value.requires_grad]
    if not total.requires_grad or (first and any(losses[name] for name in idle)):
        remedy = "compute it without .detach() and torch.no_grad(), or let observe() return what is only to be watched"
        raise LossError(f"{says}: {', '.join(map(repr, idle))}: no gradient leads back from it; {remedy}")
    return total


def returned_by(learner: nn.Module) -> str:
    """Whose losses these are, as its author calls them: a segmenter's, if one of our learners only hands them on."""
    segmenter = learner if isinstance(learner, Segmenter) else learner.segmenter
    ours = type(learner).__module__.startswith("cvis.") and not type(segmenter).__module__.startswith("cvis.")
    return f"{type(segmenter).__name__}.losses" if ours or learner is segmenter else f"{type(learner).__name__}.loss"


def kind_of(value: Any) -> str:
    """A value in a few words.

    >>> kind_of(0.5), kind_of(None), kind_of(torch.zeros(3))
    ('the float 0.5', 'None', 'a tensor of shape [3]')
    """
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, (str, int, float)):
        return f"the {type(value).__name__} {short(value, 40)}"
    return "None" if value is None else f"a {type(value).__name__}"
