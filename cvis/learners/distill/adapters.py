"""Class-specific adapters: every new class looks at its own refinement of the queries."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cvis.segmenters import ClassHeads


class AdapterHead(nn.Module):
    """Logits z_c = w_c . q_c + b_c of n classes, each on its own refined query q_c = q + U_c relu(D_c q).

    U starts at zero: an untrained adapter changes nothing.

    Args:
        dim: of a query.
        num_classes: n.
        rank: of D_c and U_c.
    """

    def __init__(self, dim: int, num_classes: int, rank: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(dim)  # PyTorch's for a linear layer
        self.down = nn.Parameter(torch.empty(num_classes, rank, dim).uniform_(-bound, bound))
        self.up = nn.Parameter(torch.zeros(num_classes, dim, rank))
        self.weight = nn.Parameter(torch.empty(num_classes, dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_classes).uniform_(-bound, bound))

    def refinements(self, queries: Tensor) -> Tensor:
        """q_c - q: [..., dim] -> [..., n, dim]."""
        hidden = torch.einsum("...d,crd->...cr", queries, self.down).relu()
        return torch.einsum("...cr,cdr->...cd", hidden, self.up)

    def forward(self, queries: Tensor) -> Tensor:
        """[..., dim] -> [..., n]."""
        refined = queries[..., None, :] + self.refinements(queries)
        return (refined * self.weight).sum(-1) + self.bias

    def freeze_adapters(self) -> None:
        """No more learning of D and U; w goes on."""
        self.down.requires_grad_(False)
        self.up.requires_grad_(False)


def adapter_heads(heads: ClassHeads) -> list[tuple[range, AdapterHead]]:
    """The heads with adapters, each with its columns of the logits."""
    own = ((heads.columns(step), head) for step, head in enumerate(heads.steps))
    return [(columns, head) for columns, head in own if isinstance(head, AdapterHead)]


def refined_queries(heads: Sequence[tuple[range, AdapterHead]], queries: Tensor, logits: Tensor) -> Tensor:
    """q + sum_c p_c U_c relu(D_c q) over all classes with adapters: a query that is of none stays as it is.

    Args:
        heads: of :func:`adapter_heads`.
        queries: [B, Q, D].
        logits: [B, Q, K+1]; p is their softmax, and no gradient leads into it.
    """
    probabilities = logits.detach().softmax(-1).to(queries.dtype)
    refined = queries
    for columns, head in heads:  # each reads the original query, as its logits do
        share = probabilities[..., columns.start : columns.stop, None]
        refined = refined + (share * head.refinements(queries)).sum(-2)
    return refined
