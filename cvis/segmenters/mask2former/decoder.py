"""Mask2Former-VIS's transformer decoder: queries attend to the pixels of all frames inside their own masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.segmenters.groups import QueryGroup
from cvis.segmenters.mask2former.attention import KEY, QUERY, VALUE, RunningAttention, attend, project
from cvis.segmenters.mask2former.long import LongMemory
from cvis.segmenters.openmmlab import Mask2FormerTransformerDecoderLayer, SinePositionalEncoding3D
from cvis.segmenters.outputs import Memory, Residual


class DecoderLayer(Mask2FormerTransformerDecoderLayer):
    """mmdet's layer (its modules and parameters): cross-attention, self-attention, FFN, each post-normed."""

    def project(self, level: Level) -> tuple[Tensor, Tensor]:
        """Key and value of the cross-attention, which are the same for every query group."""
        attention = self.cross_attn.attn
        return project(attention, level.keys, KEY), project(attention, level.tokens, VALUE)

    def forward(
        self,
        query: Tensor,
        position: Tensor,
        memory: tuple[Tensor, Tensor] | RunningAttention | None,
        allowed: Tensor | None,
        residual: Residual | None,
    ) -> Tensor:
        """One layer.

        Args:
            query: [B, Q, D]; position: [Q, D].
            memory: of K tokens, from :meth:`project`; or what was seen of it already; None: nothing yet, answer what
                the cross-attention asks, [B, heads, Q, D / heads].
            allowed: [B, 1, Q, K] bool, of K tokens.
            residual: added to the value (and to nothing else) of the self-attention.
        """
        cross = self.cross_attn.attn
        if memory is None:
            return project(cross, query + position, QUERY)
        if isinstance(memory, RunningAttention):
            seen = memory.answer(cross)
        else:
            seen = attend(cross, query + position, *memory, allowed)
        query = self.norms[0](query + seen)
        attention, located = self.self_attn.attn, query + position
        key, value = project(attention, located, KEY), self._value(query, residual)
        query = self.norms[1](query + attend(attention, located, key, value))
        return self.norms[2](self.ffn(query))

    def _value(self, query: Tensor, residual: Residual | None) -> Tensor:
        """Of the self-attention, [B, heads, Q, D / heads]."""
        attention = self.self_attn.attn
        if residual is None:
            return project(attention, query, VALUE)
        if not residual.projected:
            return project(attention, query + residual.prompts, VALUE)
        value = project(attention, query, VALUE)
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
    mask_embeddings: Tensor  # [B, N, D], or more of a group with fine masks

    def split(self, batch: int) -> list[LayerState]:
        """The states of several sets of queries that are stacked on the batch axis [k * batch, N, D]."""
        parts = zip(*(tensor.split(batch) for tensor in (self.state, self.queries, self.mask_embeddings)), strict=True)
        return [LayerState(*part) for part in parts]


@dataclass(frozen=True)
class Pass:
    """The queries of a group on their way through a layer."""

    layer: DecoderLayer
    index: int  # of the layer
    group: QueryGroup
    query: Tensor  # [k * B, N, D]; k sets of them may look where one may
    mask_embeddings: Tensor  # [B, N, D]

    def __call__(self, *seen: Any) -> Tensor:
        """``seen``: of :class:`DecoderLayer` memory, allowed and residual."""
        return self.layer(self.query, self.group.position(self.index), *seen)


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
            memory: of B videos, or of one that lies on disk.
            groups: each with its mask head, from query to mask embedding.
            residual: for every group.
            refine: what the last layer reads in place of the state before it: k sets of queries, stacked on the batch
                axis [k * B, N, D], and so is the last state. Each set looks where the state before it may look.
            soft_masks: see :func:`allowed_pixels`.

        Yields:
            The queries of each group before the first layer, then after each.
        """
        long = isinstance(memory, LongMemory)
        levels = [] if long else [self._level(memory, index) for index in range(len(memory.levels))]
        batch = 1 if long else len(memory.mask_features)
        states = [self._layer_state(group.queries.expand(batch, -1, -1), head) for group, head in groups]
        yield list(states)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            refined = refine if layer is self.layers[-1] else None
            passes = [
                Pass(layer, index, group, state.state if refined is None else refined(state), state.mask_embeddings)
                for (group, _), state in zip(groups, states, strict=True)
            ]
            if isinstance(memory, LongMemory):
                queries = self._through_windows(memory, passes, residual, soft_masks)
            else:
                queries = self._through(levels[index % len(levels)], passes, residual, soft_masks)
            states = [self._layer_state(query, head) for query, (_, head) in zip(queries, groups, strict=True)]
            yield list(states)

    def _through(
        self, level: Level, passes: Sequence[Pass], residual: Residual | None, soft_masks: bool
    ) -> Iterator[Tensor]:
        """Queries through a layer, which looks at clips that are in memory."""
        projected = passes[0].layer.project(level)
        for each in passes:
            allowed, seen = allowed_pixels(each.mask_embeddings, level.mask_features, soft_masks), projected
            if (sets := len(each.query) // len(allowed)) > 1:
                seen = seen[0].repeat(sets, 1, 1, 1), seen[1].repeat(sets, 1, 1, 1)
                allowed = allowed.repeat(sets, 1, 1, 1)
            yield each(seen, allowed, residual)

    def _through_windows(
        self, memory: LongMemory, passes: Sequence[Pass], residual: Residual | None, soft_masks: bool
    ) -> Iterator[Tensor]:
        """The same of one video that is not in memory: twice, because where a query may look depends on all frames."""
        which = passes[0].index % len(self.level_embed)
        nowhere = [torch.ones((), dtype=torch.bool, device=each.query.device) for each in passes]
        for window in memory.windows():
            small = _small(window, which)
            inside = (inside_pixels(each.mask_embeddings, small, soft_masks) for each in passes)
            nowhere = [none & ~some.any(-1, keepdim=True) for none, some in zip(nowhere, inside, strict=True)]
        running, start = [RunningAttention(each(None, None, None)) for each in passes], 0
        for window in memory.windows():
            level = self._level(window, which, start, memory.length)
            start += window.mask_features.shape[1]
            key, value = passes[0].layer.project(level)
            for attention, none, each in zip(running, nowhere, passes, strict=True):
                allowed = inside_pixels(each.mask_embeddings, level.mask_features, soft_masks) | none
                attention.add(key, value, allowed[:, None])
        return (each(attention, None, residual) for attention, each in zip(running, passes, strict=True))

    def _layer_state(self, query: Tensor, mask_head: nn.Module) -> LayerState:
        normed = self.post_norm(query)
        return LayerState(query, normed, mask_head(normed))

    def _level(self, memory: Memory, index: int, start: int = 0, length: int | None = None) -> Level:
        """A feature level of videos, or of a window from frame ``start`` on of a video of ``length`` frames."""
        level = memory.levels[index]
        tokens = level.permute(0, 1, 3, 4, 2).flatten(1, 3) + self.level_embed[index]
        position = self._positions(start, level.shape, length).permute(0, 1, 3, 4, 2).flatten(1, 3)
        return Level(tokens, tokens + position.to(tokens.dtype), _small(memory, index))

    def _positions(self, start: int, shape: Sequence[int], length: int | None) -> Tensor:
        """The position code of frames [1, T, D, h, w]: of a pixel and of a frame, one added to the other."""
        _, frames, _, height, width = shape

        def of(frames: int, height: int, width: int) -> Tensor:
            everywhere = torch.zeros(1, frames, height, width, dtype=torch.bool, device=self.level_embed.device)
            return self.position_encoding(everywhere)

        if length is None:
            return of(frames, height, width)
        return of(1, height, width) + of(length, 1, 1)[:, start : start + frames] - of(1, 1, 1)


@torch.no_grad()
def _small(memory: Memory, index: int) -> Tensor:
    """Mask features [B, T, D, h*w], resized to a feature level."""
    features = memory.mask_features
    small = resize(features.flatten(0, 1), memory.levels[index].shape[-2:]).flatten(2)
    return small.unflatten(0, features.shape[:2])


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resize of [N, C, h, w]."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def normalised(maps: Tensor) -> Tensor:
    """Each pixel of [N, C, h, w] over its channels: mean 0, variance 1."""
    return F.layer_norm(maps.movedim(1, -1), maps.shape[1:2]).movedim(-1, 1)


def mask_logits(embeddings: Tensor, features: Tensor) -> Tensor:
    """Inner products of embeddings [B, Q, D] and the first D of the features [B, T, C, ...]: [B, Q, T, ...]."""
    logits = embeddings[:, None] @ features.flatten(3)[:, :, : embeddings.shape[-1]]
    return logits.transpose(1, 2).unflatten(3, features.shape[3:])


@torch.no_grad()
def allowed_pixels(embeddings: Tensor, features: Tensor, soft_masks: bool = False) -> Tensor:
    """Masked attention: where each query may look; arguments as of :func:`inside_pixels`.

    Returns:
        [B, 1, Q, T*h*w] bool: True inside the predicted mask; all True where the mask is empty.
    """
    inside = inside_pixels(embeddings, features, soft_masks)
    return (inside | ~inside.any(-1, keepdim=True))[:, None]


@torch.no_grad()
def inside_pixels(embeddings: Tensor, features: Tensor, soft_masks: bool = False) -> Tensor:
    """Where the probability of each query's mask is at least 0.5: [B, Q, T*h*w] bool.

    Resizing and the inner product are both linear, so the mask features are resized once instead of every
    layer's masks.

    Args:
        embeddings: [B, Q, D] of the last prediction.
        features: [B, T, D, h*w], mask features resized to the level attended to.
        soft_masks: a query's probability is its softmax over the Q queries, else its sigmoid.
    """
    logits = mask_logits(embeddings, features).flatten(2)
    if soft_masks:
        return logits.softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32)) >= 0.5
    return logits >= 0  # sigmoid >= 0.5, exact in bf16 too
