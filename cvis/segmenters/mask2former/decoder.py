"""Mask2Former-VIS's transformer decoder: queries attend to the pixels of all frames inside their own masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.segmenters.groups import QueryGroup
from cvis.segmenters.lowrank import LowRank
from cvis.segmenters.openmmlab import Mask2FormerTransformerDecoderLayer, SinePositionalEncoding3D
from cvis.segmenters.outputs import Memory, Residual


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
    attended = F.scaled_dot_product_attention(project(attention, query, _QUERY), key, value, attn_mask=allowed)
    return attention.out_proj(attended.transpose(1, 2).flatten(2))


def project(attention: nn.MultiheadAttention, tokens: Tensor, part: int) -> Tensor:
    """The query, key or value of every head: [B, K, D] -> [B, heads, K, D / heads]."""
    weight, bias = attention.in_proj_weight.chunk(3)[part], attention.in_proj_bias.chunk(3)[part]
    return F.linear(tokens, weight, bias).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)


_QUERY, _KEY, _VALUE = range(3)  # where nn.MultiheadAttention keeps the three projections


class DecoderLayer(Mask2FormerTransformerDecoderLayer):
    """mmdet's layer (its modules and parameters): cross-attention, self-attention, FFN, each post-normed."""

    def adapter(self, rank: int) -> LowRank:
        """Of all matrices but the two of :meth:`project`, which a group would have to make for itself."""
        shapes = {name: tuple(weight.shape) for name, weight in self.named_parameters() if weight.dim() == 2}
        rows, columns = shapes["cross_attn.attn.in_proj_weight"]
        return LowRank({**shapes, "cross_attn.attn.in_proj_weight": (rows // 3, columns)}, rank)

    def project(self, level: Level) -> tuple[Tensor, Tensor]:
        """Key and value of the cross-attention, which are the same for every query group."""
        attention = self.cross_attn.attn
        return project(attention, level.keys, _KEY), project(attention, level.tokens, _VALUE)

    def forward(
        self, query: Tensor, position: Tensor, memory: tuple[Tensor, Tensor], allowed: Tensor, residual: Residual | None
    ) -> Tensor:
        """One layer.

        Args:
            query: [B, Q, D]; position: [Q, D].
            memory: of K tokens, from :meth:`project`.
            allowed: [B, 1, Q, K] bool.
            residual: added to the value (and to nothing else) of the self-attention.
        """
        query = self.norms[0](query + attend(self.cross_attn.attn, query + position, *memory, allowed))
        attention, located = self.self_attn.attn, query + position
        key, value = project(attention, located, _KEY), self._value(query, residual)
        query = self.norms[1](query + attend(attention, located, key, value))
        return self.norms[2](self.ffn(query))

    def _value(self, query: Tensor, residual: Residual | None) -> Tensor:
        """Of the self-attention, [B, heads, Q, D / heads]."""
        attention = self.self_attn.attn
        if residual is None:
            return project(attention, query, _VALUE)
        if not residual.projected:
            return project(attention, query + residual.prompts, _VALUE)
        value = project(attention, query, _VALUE)
        return value + residual.prompts.unflatten(-1, (attention.num_heads, -1)).transpose(0, 1).to(value.dtype)


@dataclass(frozen=True)
class Level:
    """What one feature level of B videos is to the decoder; the same for every query group."""

    tokens: Tensor  # [B, T*h*w, D]
    keys: Tensor  # the tokens with their positions added
    mask_features: Tensor  # [B, T, D, h*w], resized to the level


@dataclass(frozen=True)
class LayerState:
    """A group's queries before the first decoder layer, or after one."""

    state: Tensor  # [B, N, D], what the next layer reads
    queries: Tensor  # [B, N, D], after the last norm, what the heads read
    mask_embeddings: Tensor  # [B, N, D]

    def split(self, batch: int) -> list[LayerState]:
        """The states of several sets of queries that are stacked on the batch axis [k * batch, N, D]."""
        parts = zip(*(tensor.split(batch) for tensor in (self.state, self.queries, self.mask_embeddings)), strict=True)
        return [LayerState(*part) for part in parts]


class Decoder(nn.Module):
    """The decoder layers, their last norm and the embeddings of the feature levels.

    Args:
        dim: channels.
        layers: decoder layers; layer i attends to feature level i mod ``levels``.
        heads, feedforward: of each layer.
        levels: feature levels.
    """

    undecayed = ("level_embed",)  # an embedding: the optimiser applies no weight decay

    def __init__(self, dim: int = 256, layers: int = 9, heads: int = 8, feedforward: int = 2048, levels: int = 3):
        super().__init__()
        attention = dict(embed_dims=dim, num_heads=heads, batch_first=True)
        feed = dict(embed_dims=dim, feedforward_channels=feedforward, num_fcs=2, ffn_drop=0.0)
        self.layers = nn.ModuleList(
            DecoderLayer(self_attn_cfg=dict(attention), cross_attn_cfg=dict(attention), ffn_cfg=dict(feed))
            for _ in range(layers)
        )
        self.post_norm = nn.LayerNorm(dim)
        self.level_embed = nn.Parameter(torch.randn(levels, dim))
        self.position_encoding = SinePositionalEncoding3D(num_feats=dim // 2, normalize=True)
        for parameter in [*self.layers.parameters(), *self.post_norm.parameters()]:
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)

    def forward(
        self,
        memory: Memory,
        groups: Sequence[tuple[QueryGroup, nn.Module]],
        residual: Residual | None = None,
        refine: Callable[[LayerState], Tensor] | None = None,
        soft_masks: bool = False,
    ) -> Iterator[list[LayerState]]:
        """Decode groups side by side: what a layer makes of the video is made once for all of them.

        For small groups that is nearly all the work. No group sees another, so each comes out as it would alone.

        Args:
            memory: of B videos.
            groups: each with its mask head, from query to mask embedding.
            residual: for every group.
            refine: what the last layer reads in place of the state before it: k sets of queries, stacked on the batch
                axis [k * B, N, D], and so is the last state. Each set looks where the state before it may look.
            soft_masks: see :func:`allowed_pixels`.

        Yields:
            The queries of each group before the first layer, then after each.
        """
        levels = [self._level(memory, index) for index in range(len(memory.levels))]
        batch = len(memory.mask_features)
        states = [self._layer_state(group.queries.expand(batch, -1, -1), head) for group, head in groups]
        yield list(states)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            level = levels[index % len(levels)]
            projected = layer.project(level)
            for which, (group, head) in enumerate(groups):
                allowed = allowed_pixels(states[which].mask_embeddings, level.mask_features, soft_masks)
                query, seen = states[which].state, projected
                if refine is not None and layer is self.layers[-1]:
                    query = refine(states[which])
                    if (sets := len(query) // batch) > 1:
                        seen = seen[0].repeat(sets, 1, 1, 1), seen[1].repeat(sets, 1, 1, 1)
                        allowed = allowed.repeat(sets, 1, 1, 1)
                reading = (query, group.position(index), seen, allowed, residual)
                query = group.adapters[index](layer, *reading) if len(group.adapters) else layer(*reading)
                states[which] = self._layer_state(query, head)
            yield list(states)

    def _layer_state(self, query: Tensor, mask_head: nn.Module) -> LayerState:
        normed = self.post_norm(query)
        return LayerState(query, normed, mask_head(normed))

    def _level(self, memory: Memory, index: int) -> Level:
        level = memory.levels[index]
        batch, frames, _, height, width = level.shape
        tokens = level.permute(0, 1, 3, 4, 2).flatten(1, 3) + self.level_embed[index]
        everywhere = torch.zeros(1, frames, height, width, dtype=torch.bool, device=level.device)
        position = self.position_encoding(everywhere).permute(0, 1, 3, 4, 2).flatten(1, 3)
        with torch.no_grad():
            small = resize(memory.mask_features.flatten(0, 1), (height, width)).flatten(2)
        return Level(tokens, tokens + position.to(tokens.dtype), small.unflatten(0, (batch, frames)))


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resize of [N, C, h, w]."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def mask_logits(embeddings: Tensor, features: Tensor) -> Tensor:
    """Inner products of embeddings [B, Q, D] and features [B, T, D, ...]: [B, Q, T, ...]."""
    logits = embeddings[:, None] @ features.flatten(3)
    return logits.transpose(1, 2).unflatten(3, features.shape[3:])


@torch.no_grad()
def allowed_pixels(embeddings: Tensor, features: Tensor, soft_masks: bool = False) -> Tensor:
    """Masked attention: where each query may look.

    Resizing and the inner product are both linear, so the mask features are resized once instead of every
    layer's masks.

    Args:
        embeddings: [B, Q, D] of the last prediction.
        features: [B, T, D, h*w], mask features resized to the level attended to.
        soft_masks: a query's probability is its softmax over the Q queries, else its sigmoid.

    Returns:
        [B, 1, Q, T*h*w] bool: True inside the predicted mask, where its probability is at least 0.5; all True where
        the mask is empty.
    """
    logits = mask_logits(embeddings, features).flatten(2)
    if soft_masks:
        inside = logits.softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32)) >= 0.5
    else:
        inside = logits >= 0  # sigmoid >= 0.5, exact in bf16 too
    return (inside | ~inside.any(-1, keepdim=True))[:, None]
