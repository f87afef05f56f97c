"""Low-rank changes of a layer's weights: what a query group may learn beyond its queries, and nobody else sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class LowRank(nn.Module):
    """Runs a layer that it does not own with other weights: W + up @ down (LoRA, Hu et al., ICLR 2022).

    ``up`` is zero at first, so the layer begins as it is. Nothing of the layer is trained or changed.

    Args:
        shapes: of the matrices [out, in] that change, by their names in the layer; a matrix with more rows than
            that keeps those behind.
        rank: of every change.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]], rank: int) -> None:
        super().__init__()
        self.names = tuple(shapes)
        self.down = nn.ParameterList(torch.empty(rank, columns) for _, columns in shapes.values())
        self.up = nn.ParameterList(torch.zeros(rows, rank) for rows, _ in shapes.values())
        for matrix in self.down:
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))

    def forward(self, layer: nn.Module, *args: Any) -> Any:
        return functional_call(layer, self.weights(layer), args)

    def weights(self, layer: nn.Module) -> dict[str, Tensor]:
        """The changed matrices of the layer."""
        own = dict(layer.named_parameters())
        changed = {}
        for name, down, up in zip(self.names, self.down, self.up, strict=True):
            above = own[name][: len(up)] + up @ down
            changed[name] = torch.cat([above, own[name][len(up) :]]) if len(up) < len(own[name]) else above
        return changed
