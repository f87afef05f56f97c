"""The pixel decoder: mmdet's modules and parameters, with our deformable attention inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.segmenters.mask2former.deformable import DeformableAttention, Shapes
from cvis.segmenters.openmmlab import ConfigDict, ConvModule, MSDeformAttnPixelDecoder


class PixelDecoder(MSDeformAttnPixelDecoder):
    """Multi-scale deformable attention pixel decoder of Mask2Former, frame by frame.

    Args:
        in_channels, strides: of the backbone's levels, fine to coarse.
        dim: channels of the encoder, of every level given out, and of the mask features.
        levels: how many levels are given out, counted from the coarsest.
        encoder_levels: how many of the coarse levels pass the encoder (default: ``levels``); the finer ones
            are merged top-down.
        layers, heads, points, feedforward: of the deformable encoder.
        norm_groups: groups of every GroupNorm.
        separable: smooth the finer levels by depthwise separable convolutions (for a CPU).
    """

    output_convs: nn.ModuleList

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        dim: int = 256,
        levels: int = 3,
        encoder_levels: int | None = None,
        layers: int = 6,
        heads: int = 8,
        points: int = 4,
        feedforward: int = 1024,
        separable: bool = False,
        norm_groups: int = 32,
    ) -> None:
        attention = dict(
            embed_dims=dim,
            num_heads=heads,
            num_levels=encoder_levels or levels,
            num_points=points,
            dropout=0.0,
            batch_first=True,
        )
        encoder = dict(
            num_layers=layers,
            layer_cfg=dict(
                self_attn_cfg=dict(attention),
                ffn_cfg=dict(embed_dims=dim, feedforward_channels=feedforward, num_fcs=2, ffn_drop=0.0),
            ),
        )
        super().__init__(
            in_channels=list(in_channels),
            strides=list(strides),
            feat_channels=dim,
            out_channels=dim,
            num_outs=levels,
            norm_cfg=dict(type="GN", num_groups=norm_groups),
            encoder=ConfigDict(encoder),
            positional_encoding=dict(num_feats=dim // 2, normalize=True),
        )
        for layer in self.encoder.layers:  # mmdet names mmcv's attention, which needs compiled operators
            layer.self_attn = DeformableAttention(**attention)
        if separable:
            norm = dict(norm_cfg=dict(type="GN", num_groups=norm_groups), act_cfg=dict(type="ReLU"))
            for index in range(len(self.output_convs)):
                self.output_convs[index] = nn.Sequential(
                    nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False),
                    ConvModule(dim, dim, 1, bias=False, **norm),
                )
        self._constants: dict[tuple, tuple[Tensor, list[Tensor]]] = {}

    def init_weights(self) -> None:
        """mmdet's initialisation; its rule for the smoothing convolutions goes for each part of a separable one."""
        smoothing = self.output_convs
        self.output_convs = nn.ModuleList(
            getattr(block, "1", block) if isinstance(block, nn.Sequential) else block for block in smoothing
        )
        super().init_weights()
        self.output_convs = smoothing

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Refine the backbone's maps, in single precision at least, whatever autocast is around.

        As in Mask2Former's own code: in half precision the sampling points move, and masks near zero change sides.

        Args:
            features: [N, C_i, h_i, w_i], fine to coarse.

        Returns:
            Mask features [N, dim, h_0, w_0], and the encoder's levels [N, dim, h_i, w_i], coarse to fine.
        """
        with torch.autocast(features[0].device.type, enabled=False):
            return self._refined([maps.to(torch.promote_types(maps.dtype, torch.float32)) for maps in features])

    def _refined(self, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        coarse = list(features[::-1][: self.num_encoder_levels])
        shapes = [(int(level.shape[-2]), int(level.shape[-1])) for level in coarse]
        with torch.inference_mode(False):  # constants made while predicting must serve training later
            reference, sines = self._positions(shapes, features[0].device)
        tokens = [
            project(level).flatten(2).transpose(1, 2) for project, level in zip(self.input_convs, coarse, strict=True)
        ]
        position = torch.cat(
            [sine + level for sine, level in zip(sines, self.level_encoding.weight, strict=True)]
        )[None]  # fmt: skip
        memory = torch.cat(tokens, dim=1)
        for layer in self.encoder.layers:
            memory = layer(memory, position, None, reference_points=reference, shapes=shapes)
        parts = memory.transpose(1, 2).split([height * width for height, width in shapes], dim=-1)
        levels = [part.unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]
        if not features[0].is_contiguous(memory_format=torch.channels_last):
            levels = [level.contiguous() for level in levels]
        for lateral, smooth, feature in zip(
            self.lateral_convs, self.output_convs, features[::-1][self.num_encoder_levels :], strict=True
        ):
            upsampled = F.interpolate(levels[-1], size=feature.shape[-2:], mode="bilinear", align_corners=False)
            levels.append(smooth(lateral(feature) + upsampled))
        return self.mask_feature(levels[-1]), levels[: self.num_outs]

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
