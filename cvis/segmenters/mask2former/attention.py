"""Attention of queries to pixels: to all of them at once, or to one part after the other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

QUERY, KEY, VALUE = range(3)  # where nn.MultiheadAttention keeps the three projections


def attend(
    attention: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
) -> Tensor:
    """Attention computed by the fused kernel, without the weights that ``nn.MultiheadAttention`` also returns.

    Args:
        query: [B, Q, D].
        key, value: [B, heads, K, D / heads], from :func:`project`.
        allowed: [B, 1, Q, K] bool, False where a query may not look.

    Returns:
        [B, Q, D].
    """
    attended = F.scaled_dot_product_attention(project(attention, query, QUERY), key, value, attn_mask=allowed)
    return attention.out_proj(attended.transpose(1, 2).flatten(2))


def project(attention: nn.MultiheadAttention, tokens: Tensor, part: int) -> Tensor:
    """The query, key or value of every head: [B, K, D] -> [B, heads, K, D / heads]."""
    weight, bias = attention.in_proj_weight.chunk(3)[part], attention.in_proj_bias.chunk(3)[part]
    return F.linear(tokens, weight, bias).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)


class RunningAttention:
    """:func:`attend` to keys that come in parts, in the memory of one: the softmax's sums are kept relative to the
    greatest score so far (Milakov and Gimelshein, arXiv 1805.02867). Equal but for rounding; some part must allow
    something.

    Args:
        query: [B, heads, Q, D / heads], from :func:`project`.
    """

    def __init__(self, query: Tensor) -> None:
        self.query = query
        self.summed = torch.zeros_like(query, dtype=torch.promote_types(query.dtype, torch.float32))
        self.total = torch.zeros_like(self.summed[..., :1])
        self.most = torch.full_like(self.total, -torch.inf)

    def add(self, key: Tensor, value: Tensor, allowed: Tensor) -> None:
        """The next part; arguments as of :func:`attend`."""
        scores = (self.query @ key.transpose(-2, -1)).to(self.most) * key.shape[-1] ** -0.5
        scores = scores.masked_fill(~allowed, -torch.inf)
        most = self.most.maximum(scores.amax(-1, keepdim=True))
        shift = most.clamp(min=torch.finfo(most.dtype).min)  # -inf: nothing was allowed yet
        weights, kept = (scores - shift).exp(), (self.most - shift).exp()
        self.total = self.total * kept + weights.sum(-1, keepdim=True)
        self.summed = self.summed * kept + weights @ value.to(weights)
        self.most = most

    def answer(self, attention: nn.MultiheadAttention) -> Tensor:
        """[B, Q, D] of all parts."""
        attended = (self.summed / self.total).to(self.query.dtype)
        return attention.out_proj(attended.transpose(1, 2).flatten(2))
