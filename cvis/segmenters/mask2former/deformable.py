"""Multi-scale deformable attention (Deformable DETR, equation 3), without a compiled operator.

:func:`deformable_attention` is the one function behind which every implementation stands: a faster kernel
for a device is chosen there, and the models do not notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.openmmlab import MultiScaleDeformableAttention

Shapes = Sequence[tuple[int, int]]
"""Height and width of each feature level."""
LARGE = 2000
"""Positions S from which on to gather pays: 4620, of 352 x 640 pixels, take half of the time; 240, three times it."""


def deformable_attention(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples of several feature levels.

    Args:
        value: [B, S, M, D], the S = sum of height*width positions of all levels, M heads of D channels.
        shapes: height and width of each of the L levels, in the order of ``value``.
        locations: [B, Q, M, L, P, 2], x and y of P points per level, in [0, 1] from corner to corner.
        weights: [B, Q, M, L, P].

    Returns:
        [B, Q, M * D]. A point outside its level counts as zero.

    On a CPU predictions of large frames gather; with gradients that would be slower, and training keeps its numbers.
    """
    if value.device.type == "cpu" and value.shape[1] >= LARGE and torch.is_inference_mode_enabled():
        return deformable_attention_gather(value, shapes, locations, weights)
    return deformable_attention_torch(value, shapes, locations, weights)


def deformable_attention_torch(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """:func:`deformable_attention` by ``grid_sample``, on any device and in any floating type."""
    batch, positions, heads, channels = value.shape
    _, queries, _, levels, points, _ = locations.shape
    maps = value.permute(0, 2, 3, 1).reshape(batch * heads, channels, positions)
    # the queries last: grid_sample's inner loop then runs over neighbouring memory
    grid = (2 * locations - 1).permute(0, 2, 3, 4, 1, 5).reshape(batch * heads, levels, points, queries, 2)
    weights = weights.permute(0, 2, 3, 4, 1).reshape(batch * heads, levels, 1, points, queries)
    parts, start = [], 0
    for level, (height, width) in enumerate(shapes):
        image = maps[:, :, start : start + height * width].unflatten(2, (height, width))
        # in the locations' type: half precision would round them by whole pixels
        sampled = F.grid_sample(image.to(grid.dtype), grid[:, level], align_corners=False)
        parts.append((sampled * weights[:, level]).sum(2))
        start += height * width
    attended = reduce(torch.add, parts).view(batch, heads * channels, queries).transpose(1, 2)
    return attended.to(value.dtype)


def deformable_attention_gather(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """:func:`deformable_attention` as one weighted sum of rows of ``value``, four for each point; equal to rounding."""
    _, _, heads, channels = value.shape
    sides = torch.tensor(shapes, dtype=torch.int32).flip(1)  # [L, 2], x and y as in locations
    starts = F.pad(sides.prod(1), (1, 0)).cumsum(0)[:-1].int()[:, None]
    head = torch.arange(heads, dtype=torch.int32)[:, None, None]
    attended = []
    for rows, where, weight in zip(value.to(locations.dtype), locations, weights, strict=True):  # what a cache holds
        (x, right), (y, below) = (_corners(where[..., axis], sides[:, axis, None]) for axis in (0, 1))
        corners = [(i, j) for i in (0, 1) for j in (0, 1)]
        index = torch.stack([((y[i] * sides[:, :1] + x[j] + starts) * heads + head) for i, j in corners], -1)
        factor = torch.stack([below[i] * weight * right[j] for i, j in corners], -1)
        bags = (len(where) * heads, -1)
        table = rows.reshape(-1, channels)
        attended.append(F.embedding_bag(index.view(bags), table, mode="sum", per_sample_weights=factor.view(bags)))
    return torch.stack(attended).view(len(value), -1, heads * channels).to(value.dtype)


def _corners(location: Tensor, side: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The two pixels next to a coordinate, moved onto the level, and their shares: none for one that lies outside."""
    exact = location * side - 0.5
    low = exact.floor()
    share = exact - low
    places = [low.int(), low.int() + 1]
    inside = [(place >= 0) & (place < side) for place in places]
    return [place.clamp(min=0).minimum(side - 1) for place in places], [(1 - share) * inside[0], share * inside[1]]


class DeformableAttention(MultiScaleDeformableAttention):
    """mmcv's module (same parameters, same initialisation), computed by :func:`deformable_attention`.

    mmcv's own ``forward`` calls its compiled operator for tensors on a GPU.
    """

    def forward(
        self,
        query: Tensor,
        query_pos: Tensor,
        reference_points: Tensor,
        shapes: Shapes,
        **unused,  # mmdet's encoder layer also passes key, value and a padding mask of zeros
    ) -> Tensor:
        """Attend from every position to every level, and add the input.

        Args:
            query: [B, S, C], which is also the value.
            query_pos: [B or 1, S, C], added to the query alone.
            reference_points: [1, S, L, 2], x and y in [0, 1].
            shapes: height and width of the L levels.
        """
        batch, positions, _ = query.shape
        layout = (batch, positions, self.num_heads, self.num_levels, self.num_points)
        value = self.value_proj(query).view(batch, positions, self.num_heads, -1)
        located = query + query_pos
        offsets = self.sampling_offsets(located).view(*layout, 2)
        weights = self.attention_weights(located).view(*layout[:3], -1).softmax(-1).view(layout)
        sizes = reference_points.new_tensor([(width, height) for height, width in shapes])
        locations = reference_points[:, :, None, :, None] + offsets / sizes[:, None]
        attended = deformable_attention(value, shapes, locations, weights)
        return self.dropout(self.output_proj(attended)) + query
