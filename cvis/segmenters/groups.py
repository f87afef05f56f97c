"""Query groups: sets of queries that are decoded without seeing one another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class QueryGroup(nn.Module):
    """N learned queries that attend to the video and to each other, never to another group.

    That is what makes a frozen group immune to everything learned later (ECLIPSE's and CRISP's zero
    interference): nothing it computes depends on the other groups.

    Args:
        num_queries: N.
        dim: channels of a query.
        num_positions: 1 (one position embedding shared by all decoder layers, as in Mask2Former) or the
            number of decoder layers (one for each, as in deep prompt tuning).
        mask_head: the group's own perceptron from query to mask embedding; None: the base group's is used.
        adapters: one :class:`~cvis.segmenters.lowrank.LowRank` for each decoder layer, which the group alone passes
            with those changes; none: the layers as they are.
        step: the step of the stream that owns the group.

    Raises:
        ValueError: a group without queries.
    """

    undecayed = ("queries", "positions")  # embeddings: the optimiser applies no weight decay

    def __init__(
        self,
        num_queries: int,
        dim: int,
        num_positions: int = 1,
        mask_head: nn.Module | None = None,
        step: int = 0,
        adapters: Iterable[nn.Module] = (),
    ) -> None:
        super().__init__()
        if num_queries < 1:
            raise ValueError(f"num_queries: {num_queries}: must be at least 1")
        self.step = step
        self.queries = nn.Parameter(torch.randn(num_queries, dim))
        self.positions = nn.Parameter(torch.randn(num_positions, num_queries, dim))
        self.mask_head = mask_head
        self.adapters = nn.ModuleList(adapters)

    def __len__(self) -> int:
        return self.queries.shape[0]

    def position(self, layer: int) -> Tensor:
        """Position embedding [N, dim] of a decoder layer."""
        return self.positions[layer if len(self.positions) > 1 else 0]

    def through(self, index: int, layer: nn.Module, *reading: Any) -> Tensor:
        """What a decoder layer, as this group has it, makes of what it reads."""
        return self.adapters[index](layer, *reading) if len(self.adapters) else layer(*reading)
