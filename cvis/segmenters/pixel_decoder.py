"""The pixel decoder: mmdet's modules and parameters, with our deformable attention inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.deformable import DeformableAttention, Shapes
from cvis.segmenters.openmmlab import ConfigDict, MSDeformAttnPixelDecoder


class PixelDecoder(MSDeformAttnPixelDecoder):
    """Multi-scale deformable attention pixel decoder of Mask2Former, frame by frame.

    Args:
        in_channels, strides: of the backbone's levels, fine to coarse. The coarse ``levels`` of them pass the
            encoder; the finer ones are merged top-down.
        dim: channels of the encoder, of every level given out, and of the mask features.
        layers, heads, points, feedforward: of the deformable encoder.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        dim: int = 256,
        levels: int = 3,
        layers: int = 6,
        heads: int = 8,
        points: int = 4,
        feedforward: int = 1024,
    ) -> None:
        attention = dict(embed_dims=dim, num_heads=heads, num_levels=levels, num_points=points, dropout=0.0)
        encoder = dict(
            num_layers=layers,
            layer_cfg=dict(
                self_attn_cfg=dict(**attention, batch_first=True),
                ffn_cfg=dict(embed_dims=dim, feedforward_channels=feedforward, num_fcs=2, ffn_drop=0.0),
            ),
        )
        super().__init__(
            in_channels=list(in_channels),
            strides=list(strides),
            feat_channels=dim,
            out_channels=dim,
            num_outs=levels,
            encoder=ConfigDict(encoder),
            positional_encoding=dict(num_feats=dim // 2, normalize=True),
        )
        for layer in self.encoder.layers:  # mmdet names mmcv's attention, which needs compiled operators
            layer.self_attn = DeformableAttention(**attention, batch_first=True)
        self._constants: dict[tuple, tuple[Tensor, list[Tensor]]] = {}

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Refine the backbone's maps.

        Args:
            features: [N, C_i, h_i, w_i], fine to coarse.

        Returns:
            Mask features [N, dim, h_0, w_0], and the encoder's levels [N, dim, h_i, w_i], coarse to fine.
        """
        coarse = list(features[::-1][: self.num_encoder_levels])
        shapes = [(int(level.shape[-2]), int(level.shape[-1])) for level in coarse]
        with torch.inference_mode(False):  # constants made while predicting must serve training later
            reference, sines = self._positions(shapes, features[0].device)
        tokens = [project(level).flatten(2).transpose(1, 2) for project, level in zip(self.input_convs, coarse)]
        position = torch.cat(
            [sine + level for sine, level in zip(sines, self.level_encoding.weight)]
        )[None]  # fmt: skip
        memory = torch.cat(tokens, dim=1)
        for layer in self.encoder.layers:
            memory = layer(memory, position, None, reference_points=reference, shapes=shapes)
        parts = memory.transpose(1, 2).split([height * width for height, width in shapes], dim=-1)
        levels = [part.unflatten(2, shape) for part, shape in zip(parts, shapes)]
        finest = levels[-1]
        for lateral, smooth, feature in zip(
            self.lateral_convs, self.output_convs, features[::-1][self.num_encoder_levels :]
        ):
            upsampled = F.interpolate(finest, size=feature.shape[-2:], mode="bilinear", align_corners=False)
            finest = smooth(lateral(feature) + upsampled)
        return self.mask_feature(finest), levels

    def _positions(self, shapes: Shapes, device: torch.device) -> tuple[Tensor, list[Tensor]]:
        """Reference points [1, S, L, 2] and each level's sine encoding [h*w, dim]; kept for the last shape."""
        key = (*shapes, device)
        if key not in self._constants:
            self._constants.clear()
            points, sines = [], []
            for height, width in shapes:
                y = (torch.arange(height, device=device) + 0.5) / height
                x = (torch.arange(width, device=device) + 0.5) / width
                points.append(torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).flatten(0, 1))
                empty = torch.zeros(1, height, width, dtype=torch.bool, device=device)
                sines.append(self.postional_encoding(empty)[0].flatten(1).T)
            reference = torch.cat(points)[None, :, None].expand(-1, -1, len(shapes), -1)
            self._constants[key] = reference, sines
        return self._constants[key]
