"""Masks on their way out: from bool tensors, wherever they are, to run-length code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from cvis.data.rle import encode
from cvis.types import RLE


def encode_masks(masks: Tensor) -> list[RLE | None]:
    """Compressed RLE of bool masks [N, H, W]; None of those that are empty.

    On a GPU the borders of the runs are found where the masks are, and only they come to the host: hundreds of numbers
    in place of a million pixels. On a CPU pycocotools reads the masks, in half the time or less.
    """
    if masks.device.type == "cpu":
        return [encode(mask) for mask in masks.numpy()]
    mask, place = (found.cpu().numpy() for found in borders(masks))
    return from_borders(mask, place, len(masks), masks.shape[1:])


def borders(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Where, counted down the columns, a run of each mask ends and another one follows, or the mask ends.

    Returns:
        Number of the mask, and pixels before the border, both int64 [M], in ascending order. A mask whose first pixel
        is inside begins with an empty run.

    >>> borders(torch.tensor([[[False, True], [True, False]]]))[1].tolist()  # by columns: outside, 2 inside, outside
    [1, 3, 4]
    """
    pixels = masks.transpose(1, 2).flatten(1)
    changes = pixels.new_ones(len(pixels), pixels.shape[1] + 1)
    changes[:, 0] = pixels[:, 0]
    torch.ne(pixels[:, 1:], pixels[:, :-1], out=changes[:, 1:-1])
    mask, place = changes.nonzero(as_tuple=True)
    return mask, place


def from_borders(mask: np.ndarray, place: np.ndarray, count: int, size: Sequence[int]) -> list[RLE | None]:
    """The code of so many masks of a height and width, from their :func:`borders`."""
    height, width = size
    codes: list[RLE | None] = []
    for ends in np.split(place, np.searchsorted(mask, np.arange(1, count))):
        runs = np.diff(ends, prepend=0).tolist()
        whole = {"size": [height, width], "counts": runs}
        codes.append(coco_mask.frPyObjects(whole, height, width) if len(runs) > 1 else None)
    return codes[:count]
