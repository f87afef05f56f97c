"""What passes between the parts of VisTR beside what it shares with other query models.

A clip has T frames and n slots. Query q = t * n + i is slot i in frame t; its mask is of that frame alone, so the T of
:class:`~cvis.segmenters.outputs.Output` is 1 here. What the mask head reads of a query is its ``mask_embedding``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from cvis.segmenters.outputs import Maps, Memory, Output, QueryOutput


@dataclass(frozen=True)
class ClipMaps(Maps):
    """Of clips that may be shorter than T."""

    sizes: Tensor  # [B, 2] int64, height and width before padding


@dataclass(frozen=True)
class ClipMemory(Memory):
    """What queries and mask head read of T frames: the encoder's tokens first, then the backbone's finer levels."""

    position: Tensor  # [B, T*h*w, D], of the encoder's tokens
    valid: Tensor  # [B, T*h*w] bool, of the same: image, not padding
    extent: Tensor  # [B, 2], width and height of the image as shares of the padded frame's
    shown: int  # frames of the clip; those behind are the same again


@dataclass(frozen=True)
class BoxedQueries(QueryOutput):
    """A prediction layer without its masks."""

    boxes: Tensor  # [B, Q, 4]: cx, cy, w, h as shares of the image's width and height


class BoxedOutput(Output):
    """A prediction layer, whose masks are made when they are read: training reads those of a few slots only.

    Args:
        layer: what it says without masks.
        memory: what that was said of.
        head: mask logits [M, T, h, w] of M slots, see :class:`~cvis.segmenters.vistr.mask_head.MaskHead`.
    """

    boxes: Tensor  # [B, Q, 4], of the layer

    def __init__(self, layer: BoxedQueries, memory: ClipMemory, head: Callable[[ClipMemory, Tensor, Tensor], Tensor]):
        self.__dict__.update(vars(layer), _memory=memory, _head=head)

    @property
    def extent(self) -> Tensor:
        """See :class:`ClipMemory`."""
        return self.__dict__["_memory"].extent

    @cached_property
    def masks(self) -> Tensor:
        """[B, Q, 1, h, w] logits."""
        batch, slots = len(self.boxes), self.boxes.shape[1] // self.__dict__["_memory"].levels[0].shape[1]
        every = torch.arange(batch * slots, device=self.boxes.device)
        masks = self.masks_of(every // slots, every % slots)
        return masks.unflatten(0, (batch, slots)).transpose(1, 2).flatten(1, 2)[:, :, None]

    def masks_of(self, clip: Tensor, slot: Tensor) -> Tensor:
        """Of M slots: [M, T, h, w] logits; ``clip`` and ``slot`` [M] int64."""
        memory = self.__dict__["_memory"]
        queries = self.mask_embeddings.unflatten(1, (memory.levels[0].shape[1], -1))
        return self.__dict__["_head"](memory, queries[clip, :, slot], clip)
