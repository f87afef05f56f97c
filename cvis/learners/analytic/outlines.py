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
RIDGE = 0.1
"""Added to the moments' sum in every direction: what a step's objects do not tell apart, as the filters are near one
another, stays as it was known. The held-out rims of a step are worse from 0.3 on."""
SAME = 0.5
"""The least IoU of a query's mask with the annotated one that it is taken for."""


class Outlines(nn.Module):
    """Masks at the size of the frames, drawn to where colours change, as far as annotated masks say that this helps.

    With p = tanh(z / 2) in [-1, 1] of mask logits z, and G_k the guided filters of :func:`linear_models` on the frame,

        p' = w_0 p + sum over k of w_k G_k(p),        z' = 2 artanh(p').

    w is the least-squares fit to annotated masks (1 inside, -1 outside) around the rims of the masks that a group of
    queries finds in the training videos of its own step; every object weighs the same. Where colours say nothing of
    masks, what is left is a slight sharpening of p. Once fitted, a group's w does not change, so no later step can make
    the model forget it. Probabilities are of single masks, not for ``soft_masks``.
    """

    weights: Tensor  # [groups, W]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.eye(NUM_WEIGHTS)[:1])

    def grow(self) -> None:
        """Room for another group, whose masks are drawn as the first one's before :meth:`learn`."""
        self.register_buffer("weights", torch.cat([self.weights, self.weights[:1]]))

    def forward(self, masks: Tensor, frames: Tensor, size: tuple[int, int], groups: Tensor) -> Tensor:
        """Logits at the size of the frames.

        Args:
            masks: logits [n, t, h, w].
            frames: uint8 RGB [t, 3, H, W].
            size: height and width that h and w are a part of: the frames', padded at the right and the bottom.
            groups: of queries, whose masks they are [n].

        Returns:
            [n, t, H, W].
        """
        return 2 * mixture(masks, frames, size, self.weights[groups]).clamp(-0.999, 0.999).atanh()

    @torch.no_grad()
    def learn(self, task: Task, segmenter: QueryGroups) -> None:
        """Fit the newest group's mixture to a frame of each of its step's videos; each process looks at its share."""
        moments = self.weights.new_zeros(NUM_WEIGHTS, NUM_WEIGHTS + 1, dtype=torch.float64)
        for video in task.train.videos[get_rank() :: get_world_size()]:
            for seen in _rims(video, task.train.tracks[video.id], segmenter):
                moments += moments_of(*seen)
        all_reduce(moments)
        self.weights[-1] = fitted(moments, self.weights[-1])


def mixture(masks: Tensor, frames: Tensor, size: tuple[int, int], weights: Tensor) -> Tensor:
    """p' of :class:`Outlines`, arguments as there, with any weights [n, W] of the n masks: it is linear in them."""
    height, width = frames.shape[-2:]
    plain = (_enlarged(masks, size)[..., :height, :width] / 2).tanh()
    # the filters see no padding, which would look like something dark
    rows, columns = (-(-n * m // s) for n, m, s in zip((height, width), masks.shape[-2:], size, strict=True))
    inner = (rows * size[0] // masks.shape[-2], columns * size[1] // masks.shape[-1])
    p = (masks[..., :rows, :columns] / 2).tanh()
    guide = F.pad(frames.to(p) / 255, (0, inner[1] - width, 0, inner[0] - height), mode="replicate")
    low = F.interpolate(guide, p.shape[-2:], mode="area")
    of_radii = weights[:, 1:].to(p).unflatten(1, (len(RADII), len(SMOOTH))).unbind(1)
    models = [linear_models(low, p, *how) for how in zip(RADII, of_radii, strict=True)]
    *slopes, offset = sum(models[1:], models[0]).unbind(2)
    drawn = _enlarged(offset, inner)
    for slope, colour in zip(slopes, guide.unbind(1), strict=True):  # one by one: a third of the memory
        drawn += _enlarged(slope, inner) * colour
    return weights[:, :1, None, None].to(p) * plain + drawn[..., :height, :width]


def linear_models(guide: Tensor, p: Tensor, radius: int, weights: Tensor) -> Tensor:
    """Guided filters (He, Sun, Tang, TPAMI 2013, equations 14 to 16): p as a linear function of the colours nearby.

    In each window of 2 ``radius`` + 1 pixels squared, a and b minimise the mean of (a I + b - p)^2, plus s |a|^2; a
    pixel takes the mean over the windows that it is in. A mask follows at any size: a I + b at that size's colours (He,
    Sun, arXiv 1505.00996).

    Args:
        guide: I in [0, 1], [t, 3, h, w].
        p: [n, t, h, w].
        weights: for each of the n, of the filters whose s are ``SMOOTH``: [n, 2].

    Returns:
        Their weighted sum: a, and b behind it, [n, t, 4, h, w].
    """
    mean, mean_p = _mean(guide, radius), _mean(p, radius)[:, :, None]
    outer = _mean((guide[:, :, None] * guide[:, None]).flatten(1, 2), radius).unflatten(1, (3, 3))
    covariance = outer - mean[:, :, None] * mean[:, None]
    joint = _mean((guide * p[:, :, None]).flatten(1, 2), radius).unflatten(1, (-1, 3)) - mean * mean_p
    each = weights.T[..., None, None, None, None]
    a = torch.zeros_like(joint)
    for w, s in zip(each, SMOOTH, strict=True):
        rows = _inverse(covariance, s).unbind(1)
        a += w * torch.stack([(row * joint).sum(2) for row in rows], 2)
    b = each.sum(0) * mean_p - (a * mean).sum(2, keepdim=True)
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


def rim(mask: Tensor, inside: Tensor, frame: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What can be learned of one object in one frame: P pixels around its mask's rim, one of the mask's either side.

    Args:
        mask: logits [h, w].
        inside: where the object is, bool [H, W].
        frame, size: see :class:`Outlines`; [3, H, W].

    Returns:
        p and its filtered forms [P, weights], and 1 inside, -1 outside: [P].
    """
    mask, sign = mask[None, None], mask.sign()[None, None]
    edge = F.max_pool2d(sign, 3, 1, 1) + F.max_pool2d(-sign, 3, 1, 1) > 0
    near = F.interpolate(edge.float(), size)[0, 0].bool()[: inside.shape[0], : inside.shape[1]]
    each = mixture(mask.expand(NUM_WEIGHTS, -1, -1, -1), frame[None], size, torch.eye(NUM_WEIGHTS))[:, 0]
    return each.movedim(0, -1)[near], inside[near].to(mask) * 2 - 1


def moments_of(basis: Tensor, wanted: Tensor) -> Tensor:
    """Means of x x^T and, behind it, of x y, over the P samples x [P, W] and y [P]: [W, W + 1], 0 of none."""
    x = torch.cat([basis, wanted[:, None]], 1).double()
    return (basis.T.double() @ x) / max(len(x), 1)


def fitted(moments: Tensor, known: Tensor) -> Tensor:
    """The weights [W] of the least-squares fit to a sum of :func:`moments_of`, near those that are known without it."""
    second = moments[:, :-1]
    return torch.linalg.solve(second + RIDGE * torch.eye(len(second)).to(second), moments[:, -1] + RIDGE * known)


def _rims(video: Video, tracks: Iterable[Track], segmenter: QueryGroups) -> Iterator[tuple[Tensor, Tensor]]:
    """:func:`rim` of each annotated object that a query of the newest group finds, in the frame that shows most."""
    tracks = [track for track in tracks if not track.iscrowd]
    shown = [sum(track.segmentations[frame] is not None for track in tracks) for frame in range(len(video))]
    at = max(range(len(video)), key=shown.__getitem__)
    still = replace(video, frames=video.frames[at : at + 1])
    there = [replace(t, segmentations=t.segmentations[at : at + 1]) for t in tracks if t.segmentations[at] is not None]
    if not there:
        return
    memory = segmenter.video_features(still)
    output = segmenter.decode_queries(memory, len(segmenter.groups) - 1)[-1]
    masks = segmenter.with_masks(memory, [output])[0].masks[0, :, 0].float()
    annotated = segmenter.track_masks(still, there, memory).flatten(1) > 0.5
    best, queries = overlaps(annotated, masks.flatten(1) > 0).max(1)
    frames, inside = segmenter.annotated(still, there)
    for row in (best > SAME).nonzero().flatten().tolist():
        yield rim(masks[queries[row]], inside[row, 0], frames[0], memory.size)


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """IoU of each of N masks with each of Q, bool [N, P] and [Q, P]: [N, Q]; 0 of two that are empty."""
    shared = one.float() @ other.float().T
    return shared / (one.sum(1)[:, None] + other.sum(1) - shared).clamp(min=1)
