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

from cvis.segmenters.mask2former.fused import fused_attention, is_fused
from cvis.segmenters.openmmlab import MultiScaleDeformableAttention

Shapes = Sequence[tuple[int, int]]
"""Height and width of each feature level."""
LARGE = 500
"""Positions S from which on to gather is chosen. It always pays, but changes last digits: those of the small models of
the record, whose frames have 126, stay."""


def deformable_attention(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples of several feature levels.

    Args:
        value: [B, S, M, D], the S = sum of height*width positions of all levels, M heads of D channels.
        shapes: height and width of each of the L levels, in the order of ``value``.
        locations: [B, Q, M, L, P, 2], x and y of P points per level, in [0, 1] from corner to corner.
        weights: [B, Q, M, L, P].

    Returns:
        [B, Q, M * D]. A point outside its level counts as zero.

    On a CPU ``LARGE`` maps are gathered under ``no_grad``, in a quarter of the time: predictions, teachers, frozen
    parts. With gradients that would be slower. On a GPU deformops' kernels, where they are.
    """
    if is_fused(value, locations, deformable_attention_torch):
        return fused_attention(value, shapes, locations, weights)
    if value.device.type == "cpu" and value.shape[1] >= LARGE and not torch.is_grad_enabled():
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
    """:func:`deformable_attention` as one weighted sum of rows of ``value``, four for each point.

    Equal to rounding for finite values, at any location that is finite or no number.
    """
    _, _, heads, channels = value.shape
    table = _framed(value.to(locations.dtype), shapes)

    def everywhere(constant: Tensor) -> Tensor:  # one for each point: to broadcast over so short axes takes longer
        return constant.expand(locations.shape[1:-1]).contiguous()

    height, width = (everywhere(locations.new_tensor(side)[:, None]) for side in zip(*shapes, strict=True))
    framed = torch.tensor(shapes, dtype=torch.int32) + FRAME
    starts = F.pad(framed.prod(1), (1, 0)).cumsum(0)[:-1]
    corner = (starts + framed[:, 1] + 1)[:, None] * heads + torch.arange(heads)[:, None, None]
    origin, row = everywhere(corner.int()), everywhere(framed[:, 1:] * heads)
    queries, (levels, points) = locations.shape[1], locations.shape[3:5]
    bags = (queries * heads, levels * points * 4)
    attended = value.new_empty(len(value), queries, heads * channels)
    # video by video, which a cache holds
    for one, entries, where, weight in zip(attended, table, locations, weights.to(locations), strict=True):
        (x, right), (y, below) = _pixel(where[..., 0], width), _pixel(where[..., 1], height)
        here = torch.addcmul(origin, y, row).add_(x, alpha=heads)
        under = here + row
        lower = weight * below
        upper = weight - lower
        index = torch.stack([here, here + heads, under, under + heads], dim=2)
        factor = torch.stack([upper - upper * right, upper * right, lower - lower * right, lower * right], dim=2)
        lines = entries.reshape(-1, channels)
        sums = F.embedding_bag(index.view(bags), lines, mode="sum", per_sample_weights=factor.view(bags))
        one.copy_(sums.view_as(one))
    return attended


FRAME = 3
"""Rows and columns of zeros around a level: one before it; two behind it, for a point that is as far out as can be."""


def _framed(value: Tensor, shapes: Shapes) -> Tensor:
    """``value`` with zeros around each level, so that no point lies outside."""
    levels = value.split([height * width for height, width in shapes], dim=1)
    framed = [
        F.pad(level.unflatten(1, shape), (0, 0, 0, 0, 1, 2, 1, 2)).flatten(1, 2)
        for level, shape in zip(levels, shapes, strict=True)
    ]
    return torch.cat(framed, dim=1)


def _pixel(location: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """The pixel before a coordinate, from -1 to ``side``, and the next one's share, which says if it is no number."""
    exact = (location * side - 0.5).clamp(min=-1).minimum(side)
    pixel = exact.nan_to_num(nan=-1.0).floor()
    return pixel.int(), exact - pixel


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
