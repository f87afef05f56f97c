"""Query groups: sets of queries that are decoded without seeing one another."""

from __future__ import annotations

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
        mask_head: the group's own perceptron from query to mask embedding, which reads as many channels of the mask
            features as it gives; None: the base group's is used.
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
    ) -> None:
        super().__init__()
        if num_queries < 1:
            raise ValueError(f"num_queries: {num_queries}: must be at least 1")
        self.step = step
        self.queries = nn.Parameter(torch.randn(num_queries, dim))
        self.positions = nn.Parameter(torch.randn(num_positions, num_queries, dim))
        self.mask_head = mask_head

    def __len__(self) -> int:
        return self.queries.shape[0]

    def position(self, layer: int) -> Tensor:
        """Position embedding [N, dim] of a decoder layer."""
        return self.positions[layer if len(self.positions) > 1 else 0]
