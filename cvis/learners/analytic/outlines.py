"""Where a mask ends in its frame: guided filters, mixed as annotated masks say, in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_rank, get_world_size
from torch import Tensor, nn

from cvis.scenario import Task
from cvis.segmenters.contract import QueryGroups
from cvis.types import Track, Video

RADII, SMOOTH = (1, 2, 4), (1e-3, 1e-2)
"""Of the filters, each with each: pixels of the masks, and what a window's colours must vary by (of 1, squared)."""
NUM_WEIGHTS = 1 + len(RADII) * len(SMOOTH)
RIDGE = 1e-3
SAME = 0.5
"""The least IoU of a query's mask with the annotated one that it is taken for."""


class Outlines(nn.Module):
    """Masks at the size of the frames, drawn to where colours change, as far as annotated masks say that this helps.

    With p = tanh(z / 2) in [-1, 1] of mask logits z, and G_k the guided filters of :func:`linear_models` on the frame,

        p' = w_0 p + sum over k of w_k G_k(p),        z' = 2 artanh(p').

    w is the least-squares fit to annotated masks (1 inside, -1 outside) around the rims of the masks that the model
    finds in its own training videos; every object weighs the same. Where colours say nothing of masks, w_0 stays near 1. Once
    fitted, w does not change, and it knows no classes, so that later steps cannot make the model forget it.
    """

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.eye(NUM_WEIGHTS)[0])

    def forward(self, masks: Tensor, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits at the size of the frames.

        Args:
            masks: logits [n, t, h, w].
            frames: uint8 RGB [t, 3, H, W].
            size: height and width that h and w are a part of: the frames', padded at the right and the bottom.

        Returns:
            [n, t, H, W].
        """
        return 2 * mixture(masks, frames, size, self.weights).clamp(-0.999, 0.999).atanh()

    @torch.no_grad()
    def learn(self, task: Task, segmenter: QueryGroups) -> None:
        """Fit the mixture to a frame of each of the step's videos; each process looks at its share of them."""
        sums = self.weights.new_zeros(len(self.weights), len(self.weights) + 1, dtype=torch.float64)
        for video in task.train.videos[get_rank() :: get_world_size()]:
            for basis, wanted in _rims(video, task.train.tracks[video.id], segmenter):
                x = torch.cat([basis, wanted[:, None]], 1).double()
                sums += (basis.T.double() @ x) / len(x)
        all_reduce(sums)
        moments = sums[:, :-1]
        if moments.diagonal().sum() > 0:
            ridge = RIDGE * moments.diagonal().mean() * torch.eye(len(moments)).to(moments)
            self.weights.copy_(torch.linalg.solve(moments + ridge, sums[:, -1]))


def mixture(masks: Tensor, frames: Tensor, size: tuple[int, int], weights: Tensor) -> Tensor:
    """p' of :class:`Outlines`, whose ``forward`` has the same arguments, with any weights: it is linear in them."""
    height, width = frames.shape[-2:]
    guide = F.pad(frames.to(masks) / 255, (0, size[1] - width, 0, size[0] - height))
    low = F.interpolate(guide, masks.shape[-2:], mode="area")
    of_radii = weights[1:].to(masks).unflatten(0, (len(RADII), len(SMOOTH)))
    models = [linear_models(low, (masks / 2).tanh(), *how) for how in zip(RADII, of_radii, strict=True)]
    drawn = weights[0].to(masks) * (_enlarged(masks, size) / 2).tanh()
    *slopes, offset = sum(models[1:], models[0]).unbind(2)
    drawn += _enlarged(offset, size)
    for slope, colour in zip(slopes, guide.unbind(1), strict=True):  # one by one: a third of the memory
        drawn += _enlarged(slope, size) * colour
    return drawn[..., :height, :width]


def linear_models(guide: Tensor, p: Tensor, radius: int, weights: Tensor) -> Tensor:
    """Guided filters (He, Sun, Tang, TPAMI 2013, equations 14 to 16): p as a linear function of the colours nearby.

    In each window of 2 ``radius`` + 1 pixels squared, a and b minimise the mean of (a I + b - p)^2, plus s |a|^2; a
    pixel takes the mean over the windows that it is in. A mask follows at any size: a I + b at that size's colours (He,
    Sun, arXiv 1505.00996).

    Args:
        guide: I in [0, 1], [t, 3, h, w].
        p: [n, t, h, w].
        weights: of the filters whose s are ``SMOOTH``.

    Returns:
        Their weighted sum: a, and b behind it, [n, t, 4, h, w].
    """
    mean, mean_p = _mean(guide, radius), _mean(p, radius)[:, :, None]
    outer = _mean((guide[:, :, None] * guide[:, None]).flatten(1, 2), radius).unflatten(1, (3, 3))
    covariance = outer - mean[:, :, None] * mean[:, None]
    joint = _mean((guide * p[:, :, None]).flatten(1, 2), radius).unflatten(1, (-1, 3)) - mean * mean_p
    inverse = sum((w * _inverse(covariance, s) for w, s in zip(weights, SMOOTH, strict=True)), torch.zeros(()))
    a = torch.stack([(row * joint).sum(2) for row in inverse.unbind(1)], 2)
    b = weights.sum() * mean_p - (a * mean).sum(2, keepdim=True)
    return _mean(torch.cat([a, b], 2).flatten(1, 2), radius).unflatten(1, (-1, 4))


def _inverse(covariance: Tensor, smooth: float) -> Tensor:
    """Of (covariance + smooth I), symmetric, [t, 3, 3, h, w]: by cross products, LAPACK is slow."""
    rows = (covariance + smooth * torch.eye(3).to(covariance)[..., None, None]).unbind(1)
    adjugate = torch.stack([torch.linalg.cross(rows[i - 2], rows[i - 1], dim=1) for i in range(3)], 1)
    return adjugate / (rows[0] * adjugate[:, 0]).sum(1)[:, None, None]


def _mean(x: Tensor, radius: int) -> Tensor:
    """Over the part of each window that is inside; a row and a column at a time."""
    side = 2 * radius + 1
    x = F.avg_pool2d(x, (side, 1), 1, (radius, 0), count_include_pad=False)
    return F.avg_pool2d(x, (1, side), 1, (0, radius), count_include_pad=False)


def _enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def _rims(video: Video, tracks: Iterable[Track], segmenter: QueryGroups) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each annotated object of a frame that a query finds: what the pixels around the rim of its mask are told by.

    The frame is the one that shows the most objects.

    Yields:
        Of P pixels p and its filtered forms [P, weights], and whether they are inside, 1 or -1: [P].
    """
    tracks = [track for track in tracks if not track.iscrowd]
    shown = [sum(track.segmentations[frame] is not None for track in tracks) for frame in range(len(video))]
    at = max(range(len(video)), key=shown.__getitem__)
    still = replace(video, frames=video.frames[at : at + 1])
    there = [replace(t, segmentations=t.segmentations[at : at + 1]) for t in tracks if t.segmentations[at] is not None]
    if not there:
        return
    memory = segmenter.video_features(still)
    output = segmenter.decode_groups(memory)[0]
    masks = segmenter.with_masks(memory, [output])[0].masks[0].float()  # [Q, 1, h, w]
    found, annotated = (masks > 0).flatten(1).float(), segmenter.track_masks(still, there, memory).flatten(1) > 0.5
    shared = annotated.float() @ found.T
    overlap = shared / (annotated.sum(1)[:, None] + found.sum(1) - shared).clamp(min=1)
    frames, inside = segmenter.annotated(still, there)
    for best, query, wanted in zip(*overlap.max(1), inside, strict=True):
        if best > SAME:
            mask = masks[query][None]
            each = [mixture(mask, frames, memory.size, one)[0, 0] for one in torch.eye(NUM_WEIGHTS)]
            edge = F.max_pool2d(mask.sign(), 3, 1, 1) + F.max_pool2d(-mask.sign(), 3, 1, 1) > 0
            near = F.interpolate(edge.float(), memory.size)[0, 0].bool()[: frames.shape[-2], : frames.shape[-1]]
            if near.any():
                yield torch.stack(each, -1)[near], wanted[0][near].float() * 2 - 1
