"""Class heads that grow by one head per step, and the small perceptron all heads are made of."""

from __future__ import annotations

import copy
import itertools
import math

import torch
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.background import Background

KINDS = ("linear", "mlp")
PRIOR = 0.01
INITS = ("default", "background", "no_object")


def mlp(incoming: int, hidden: int, outgoing: int, layers: int = 3) -> nn.Sequential:
    """``layers`` linear layers with ReLU between them."""
    sizes = [incoming, *[hidden] * (layers - 1), outgoing]
    blocks: list[nn.Module] = []
    for left, right in itertools.pairwise(sizes):
        blocks += [nn.Linear(left, right), nn.ReLU(inplace=True)]
    return nn.Sequential(*blocks[:-1])


class ClassHeads(nn.Module):
    """One no-object head, and one head for each step's classes. All heads read every query, location or pixel.

    Args:
        dim: channels of a query.
        kind: ``linear``, or ``mlp`` (three layers: dim-dim-dim-n).
        background: ``column``: no-object has a head; ``sigmoid``: it has none, and classes begin at a probability of
            0.01, so that the many slots without a class do not drown the others at first (RetinaNet).
    """

    no_object: nn.Module
    anywhere: Tensor  # [0], for its device and type

    def __init__(self, dim: int, kind: str = "linear", background: Background = "column") -> None:
        super().__init__()
        if kind not in KINDS:
            raise UserError(f"segmenter.class_head: {kind!r}: unknown; use one of {', '.join(KINDS)}")
        self.dim, self.kind, self.background = dim, kind, background
        self.register_buffer("anywhere", torch.empty(0), persistent=False)
        if background == "column":
            self.no_object = self._head(1)
        self.steps = nn.ModuleList()
        self._sizes: list[int] = []

    def forward(self, queries: Tensor) -> Tensor:
        """[..., dim] -> logits [..., K + 1] in the order [C_0, C_1, ..., C_t, no-object]; or [..., K] without it."""
        last = [self.no_object] if self.background == "column" else []
        return torch.cat([head(queries) for head in (*self.steps, *last)], dim=-1)

    def add(self, num_classes: int, init: str = "default", head: nn.Module | None = None) -> nn.Module:
        """Append the head of a new step.

        Args:
            num_classes: classes of the step, at least one.
            init: ``default`` (PyTorch's), or ``background``: MiB's imprinting, where the probability of
                no-object is shared evenly among the new classes and no-object,
                w_new = w_bg, b_new = b_bg - log(n + 1), b_bg <- b_bg - log(n + 1);
                the probabilities of all older classes stay as they were; or ``no_object``: a copy of the no-object
                head whose last row is repeated (ECLIPSE). Both need a no-object head.
            head: a head of a method's own, [..., dim] -> [..., num_classes]; it brings its own initialisation.
        """
        if init not in INITS:
            raise UserError(f"add_classes: init: {init!r}: unknown; use one of {', '.join(INITS)}")
        if init != "default" and self.background != "column":
            what = f"add_classes: init: {init!r}: a copy of the no-object head, which sigmoids have not"
            raise UserError(f"{what}; use default")
        if head is None:
            head = self._head(num_classes)
            if self.background == "sigmoid":
                nn.init.constant_(_last_linear(head).bias, -math.log(1 / PRIOR - 1))
            if init == "background":
                _last_linear(self.no_object).bias.data.sub_(math.log(num_classes + 1))
            if init != "default":
                head.load_state_dict(self._copies(num_classes))
        head.to(self.anywhere)
        self.steps.append(head)
        self._sizes.append(num_classes)
        return head

    def columns(self, step: int) -> range:
        """Which columns of the logits are the classes of a step."""
        return range(sum(self._sizes[:step]), sum(self._sizes[: step + 1]))

    def _copies(self, num_classes: int) -> dict[str, Tensor]:
        """The no-object head with its last row repeated."""
        repeated = copy.deepcopy(self.no_object)
        row = _last_linear(repeated)
        row.weight = nn.Parameter(row.weight.repeat(num_classes, 1))
        row.bias = nn.Parameter(row.bias.repeat(num_classes))
        return repeated.state_dict()

    def _head(self, num_classes: int) -> nn.Module:
        if self.kind == "linear":
            return nn.Linear(self.dim, num_classes)
        return mlp(self.dim, self.dim, num_classes)


def _last_linear(head: nn.Module) -> nn.Linear:
    last = head[-1] if isinstance(head, nn.Sequential) else head
    assert isinstance(last, nn.Linear)
    return last
