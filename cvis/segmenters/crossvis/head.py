"""The detection head that all levels of the pyramid share (FCOS; Tian et al., ICCV 2019), with embeddings beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.segmenters.crossvis.layers import block, norm_of
from cvis.segmenters.heads import PRIOR


class Head(nn.Module):
    """Three towers: one for classes, one for boxes, centreness and the filters of masks, one for embeddings.

    Args:
        dim: channels of the pyramid.
        levels: how many of them there are; each scales its boxes by a number of its own.
        parameters: P, of the dynamic mask head of a location.
        convs: of each tower.
        norm_groups: of its group norms.
        embedding: D.
    """

    def __init__(
        self, dim: int, levels: int, parameters: int, convs: int = 4, norm_groups: int = 32, embedding: int = 256
    ) -> None:
        super().__init__()
        norm = norm_of("GN", norm_groups)
        self.class_tower, self.box_tower, self.identity_tower = (
            nn.Sequential(*(block(dim, dim, norm) for _ in range(convs))) for _ in range(3)
        )
        self.sides, self.centreness, self.controller = (
            nn.Conv2d(dim, channels, 3, padding=1) for channels in (4, 1, parameters)
        )
        self.embedding = nn.Conv2d(dim, embedding, 1)
        self.scales = nn.Parameter(torch.ones(levels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _small(module)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Of maps [F, dim, h_i, w_i], for each of the N locations of all levels.

        Returns:
            The class tower's features [F, N, dim]; sides [F, N, 4], centreness [F, N], filters [F, N, P] and embeddings
            [F, N, D] of :class:`~cvis.segmenters.crossvis.outputs.Locations`.
        """
        of_levels = []
        for level, scale in zip(levels, self.scales, strict=True):
            box = self.box_tower(level)
            maps = (
                self.class_tower(level),
                F.relu(scale * self.sides(box)),
                self.centreness(box),
                self.controller(box),
                self.embedding(self.identity_tower(level)),
            )
            of_levels.append([value.flatten(2).transpose(1, 2) for value in maps])
        together = (torch.cat(values, 1) for values in zip(*of_levels, strict=True))
        features, sides, centreness, filters, embeddings = together
        return features, sides, centreness.squeeze(2), filters, embeddings


def begin_improbable(classifier: nn.Linear) -> None:
    """FCOS's beginning of a classifier of sigmoids: all say :data:`~cvis.segmenters.heads.PRIOR`."""
    _small(classifier)
    nn.init.constant_(classifier.get_parameter("bias"), -math.log(1 / PRIOR - 1))


def _small(layer: nn.Conv2d | nn.Linear) -> None:
    """FCOS's beginning of every convolution of its head."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.get_parameter("bias"))
