"""Which location of which frame answers for which object (FCOS), and where its partner in another frame is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cvis.segmenters.crossvis.outputs import Grid
from cvis.segmenters.vistr.boxes import mask_boxes
from cvis.types import NO_OBJECT, Targets


class Seen(NamedTuple):
    """The R pairs of a target of a class and a frame that shows it, of B clips of T frames."""

    target: Tensor  # [R] int64, counted through the batch
    frame: Tensor  # [R] int64, likewise
    column: Tensor  # [R] int64, of its class
    identity: Tensor  # [R] int64; -1: none is known
    masks: Tensor  # [R, H, W] bool
    boxes: Tensor  # [R, 4] left, top, right, bottom, pixels
    centres: Tensor  # [R, 2] x and y, pixels


def seen(targets: Sequence[Targets], columns: Sequence[Tensor], masks: Sequence[Tensor], of_masks: bool) -> Seen:
    """What frames show. A target that is no object has no box, and is background like all else.

    Args:
        columns: of each clip [N].
        masks: of each clip [N, T, H, W] bool, padded as the frames are.
        of_masks: a centre is that of the mask's pixels, not of the box.
    """
    every = torch.cat(list(masks))
    ids = torch.cat([target.category_ids for target in targets])
    clips = torch.repeat_interleave(torch.arange(len(targets)), torch.tensor([len(column) for column in columns]))
    visible = every.flatten(2).any(-1) & (ids != NO_OBJECT)[:, None]
    target, time = visible.nonzero(as_tuple=True)
    identities = torch.cat(
        [torch.full_like(t.category_ids, -1) if t.identities is None else t.identities for t in targets]
    )
    shown = every[target, time]
    height, width = shown.shape[-2:]
    centre, size = (mask_boxes(shown) * shown.new_tensor([width, height] * 2, dtype=torch.float32)).split(2, -1)
    boxes = torch.cat((centre - size / 2, centre + size / 2), -1)
    return Seen(
        target,
        clips.to(target)[target] * every.shape[1] + time,
        torch.cat(list(columns))[target],
        identities[target],
        shown,
        boxes,
        _centroids(shown) if of_masks else centre,
    )


def _centroids(masks: Tensor) -> Tensor:
    """Mean x and y of the centres of each mask's pixels: [R, 2]."""
    area = masks.flatten(1).sum(1)
    sides = [(line * (torch.arange(line.shape[1]).to(line) + 0.5)).sum(1) for line in (masks.sum(1), masks.sum(2))]
    return torch.stack(sides, -1) / area[:, None]


@dataclass(frozen=True)
class Positives:
    """The P locations that answer for an object, in the order of frames."""

    frame: Tensor  # [P] int64
    location: Tensor  # [P] int64
    row: Tensor  # [P] int64, of :class:`Seen`
    sides: Tensor  # [P, 4] l, t, r, b in strides
    centreness: Tensor  # [P]

    def __len__(self) -> int:
        return len(self.frame)


def assign(grid: Grid, shown: Seen, frames: int, radius: float) -> Positives:
    """A location answers for an object whose box holds its point, which lies within ``radius`` strides of the object's
    centre in x and in y, and whose longest side from there the location's level answers for; of several for the
    smallest box.

    centreness = sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))

    Args:
        frames: F.
    """
    low, high = grid.points - shown.boxes[:, None, :2], shown.boxes[:, None, 2:] - grid.points  # [R, N, 2]
    sides = torch.cat((low, high), -1)
    near = (grid.points - shown.centres[:, None]).abs().amax(-1) < radius * grid.stride
    longest = sides.amax(-1)
    fits = near & (sides.amin(-1) > 0) & (longest > grid.lower) & (longest <= grid.upper)
    area = (shown.boxes[:, 2:] - shown.boxes[:, :2]).prod(-1)
    cost = torch.where(fits, area[:, None], torch.inf)
    owner = shown.frame[:, None].expand_as(cost)
    least = cost.new_full((frames, cost.shape[1]), torch.inf).scatter_reduce(0, owner, cost, "amin")
    row = torch.arange(len(cost), device=cost.device)[:, None].expand_as(cost)
    mine = torch.where(fits & (cost == least[shown.frame]), row, len(cost))  # of equal boxes the first
    first = row.new_full(least.shape, len(cost)).scatter_reduce(0, owner, mine, "amin")
    frame, location = (first < len(cost)).nonzero(as_tuple=True)
    rows = first[frame, location]
    chosen = sides[rows, location]
    left, top, right, bottom = chosen.unbind(-1)
    shares = [torch.minimum(*pair) / torch.maximum(*pair) for pair in ((left, right), (top, bottom))]
    return Positives(frame, location, rows, chosen / grid.stride[location][:, None], (shares[0] * shares[1]).sqrt())


def partners(positives: Positives, shown: Seen, frames: int, step: int, draw: Tensor) -> tuple[Tensor, Tensor]:
    """For locations of an object that has some ``step`` frames later in its clip, one of these: crossover learning.

    Args:
        frames: T, of a clip.
        draw: [P] in [0, 1), which of them.

    Returns:
        Which of the positives have a partner, and the partners: [M] int64 each.
    """
    target, frame = shown.target[positives.row], positives.frame
    time = frame % frames + step
    inside = (time >= 0) & (time < frames)
    keys = target * frames + frame % frames
    order = keys.argsort(stable=True)
    counts = torch.bincount(keys, minlength=len(shown.target) * frames + 1)
    wanted = torch.where(inside, keys + step, len(counts) - 1)  # of which there is none
    there = counts[wanted]
    source = there.nonzero().squeeze(1)
    begin = (counts.cumsum(0) - counts)[wanted[source]]
    return source, order[begin + (draw[source] * there[source]).long()]
