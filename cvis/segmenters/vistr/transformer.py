"""DETR's transformer (Carion et al., ECCV 2020): every token of a clip sees every other, in all of its frames."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


class Layer(nn.Module):
    """What encoder and decoder layers share: dropout, and a perceptron with its norm.

    Args:
        dim, heads, feedforward: as usual.
        dropout: probability, after attention and in the perceptron.
        norms: how many.
    """

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float, norms: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.self_attn = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(dim, feedforward), nn.Linear(feedforward, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(norms))

    def perceive(self, tokens: Tensor) -> Tensor:
        """The perceptron, with residual and the last norm."""
        hidden = self.linear2(self.dropout(F.relu(self.linear1(tokens))))
        return self.norms[-1](tokens + self.dropout(hidden))


class EncoderLayer(Layer):
    """Self-attention and perceptron; positions are added to queries and keys, never to values."""

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__(dim, heads, feedforward, dropout, norms=2)

    def forward(self, tokens: Tensor, position: Tensor, padding: Tensor | None) -> Tensor:
        """tokens, position [B, K, D]; padding [B, K] bool, True where nothing is to be seen."""
        located = tokens + position
        seen = self.self_attn(located, located, tokens, key_padding_mask=padding, need_weights=False)[0]
        return self.perceive(self.norms[0](tokens + self.dropout(seen)))


class DecoderLayer(Layer):
    """Self-attention of the queries, attention to the memory, perceptron."""

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__(dim, heads, feedforward, dropout, norms=3)
        self.cross_attn = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)

    def forward(self, state: Tensor, query: Tensor, memory: Tensor, keys: Tensor, padding: Tensor | None) -> Tensor:
        """state [B, Q, D]; query [Q, D], its position; memory and keys (memory with positions) [B, K, D]."""
        located = state + query
        seen = self.self_attn(located, located, state, need_weights=False)[0]
        state = self.norms[0](state + self.dropout(seen))
        seen = self.cross_attn(state + query, keys, memory, key_padding_mask=padding, need_weights=False)[0]
        return self.perceive(self.norms[1](state + self.dropout(seen)))


class Encoder(nn.Module):
    """``layers`` encoder layers."""

    def __init__(self, dim: int = 384, layers: int = 6, heads: int = 8, feedforward: int = 2048, dropout: float = 0.1):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(dim, heads, feedforward, dropout) for _ in range(layers))
        xavier(self)

    def forward(self, tokens: Tensor, position: Tensor, padding: Tensor | None) -> Tensor:
        """See :class:`EncoderLayer`."""
        for layer in self.layers:
            tokens = layer(tokens, position, padding)
        return tokens


class Decoder(nn.Module):
    """``layers`` decoder layers, at least two, and the norm through which every one of them is read."""

    def __init__(self, dim: int = 384, layers: int = 6, heads: int = 8, feedforward: int = 2048, dropout: float = 0.1):
        super().__init__()
        if layers < 2:
            raise ValueError(f"decoder.layers: {layers}: must be at least 2")
        self.layers = nn.ModuleList(DecoderLayer(dim, heads, feedforward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        xavier(self)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        position: Tensor,
        padding: Tensor | None,
        refine: Callable[[Tensor], Tensor] | None = None,
    ) -> list[Tensor]:
        """The states [B, Q, D] after each layer; they begin at zero.

        Args:
            query: [Q, D].
            memory, position: [B, K, D].
            padding: [B, K] bool, or None.
            refine: what the last layer reads in place of the state before it: k sets of queries, stacked on the batch
                axis [k * B, Q, D]. Each set has a last state, in their order.
        """
        keys = memory + position
        state = query.new_zeros(len(memory), *query.shape)
        states = []
        for layer in self.layers:
            if refine is not None and layer is self.layers[-1]:
                state = refine(state)
                sets = len(state) // len(memory)
                memory, keys = memory.repeat(sets, 1, 1), keys.repeat(sets, 1, 1)
                padding = None if padding is None else padding.repeat(sets, 1)
            state = layer(state, query, memory, keys, padding)
            states.append(state)
        *before, last = states
        return [*before, *last.split(len(states[0]))]


def xavier(module: nn.Module) -> None:
    """DETR's initialisation of every matrix."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
