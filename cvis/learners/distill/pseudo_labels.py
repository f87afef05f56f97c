"""Pseudo-labels: what the old model is sure to see, where nothing is annotated, becomes a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from cvis.segmenters.outputs import ProposedTracks
from cvis.types import Clip, Targets

Area = Literal["assigned", "kept"]


class PseudoTracks(NamedTuple):
    """N of the tracks that a model proposes for one clip."""

    rows: Tensor  # [N] int64, which of the proposals
    columns: Tensor  # [N] int64, which of the model's classes
    masks: Tensor  # [N, T, H, W] bool; no two overlap, and none overlaps what is annotated


@torch.no_grad()
def pseudo_tracks(
    probabilities: Tensor,
    masks: Tensor,
    annotated: Tensor,
    min_score: float = 0.0,
    min_overlap: float = 0.5,
    area: Area = "assigned",
) -> PseudoTracks:
    """CoMFormer's pseudo-labels (Cermelli et al., CVPR 2023), of tracks instead of masks.

    Every pixel of every frame goes to the proposal with the greatest score * mask probability, once. Its track is
    those of its pixels where its mask is at least 0.5 and nothing is annotated. It is kept if it is not empty and its
    area is more than ``min_overlap`` of its whole mask's; areas are summed over all frames.

    Args:
        probabilities: [P, o] of o classes.
        masks: [P, T, H, W] probabilities.
        annotated: [T, H, W] bool: ground truth, or pixels that are no image.
        min_score: a proposal counts only above this class probability.
        min_overlap: see above.
        area: which area is compared: all pixels that went to the proposal (``assigned``, CoMFormer), or those of its
            track (``kept``, BalConpas).
    """
    scores, columns = probabilities.max(-1)
    rows = (scores > min_score).nonzero().squeeze(1)
    sure = masks[rows]
    if not len(rows):
        return PseudoTracks(rows, columns[rows], sure.bool())
    owner = (scores[rows, None, None, None] * sure).argmax(0)
    assigned = (owner == torch.arange(len(rows), device=sure.device)[:, None, None, None]) & ~annotated
    inside = sure >= 0.5
    tracks = assigned & inside
    compared = (assigned if area == "assigned" else tracks).flatten(1).sum(1)
    kept = tracks.flatten(1).any(1) & (compared > min_overlap * inside.flatten(1).sum(1))
    return PseudoTracks(rows[kept], columns[rows][kept], tracks[kept])


@torch.no_grad()
def with_pseudo_labels(
    clip: Clip,
    proposals: Sequence[ProposedTracks],
    classes: Sequence[int],
    min_score: float = 0.0,
    min_overlap: float = 0.5,
    area: Area = "assigned",
) -> Clip:
    """The batch with an old model's tracks appended to its targets, under data-set ids like all others.

    Args:
        proposals: of each clip.
        classes: the old model's, in the order of its probabilities.
        min_score, min_overlap, area: see :func:`pseudo_tracks`.
    """
    targets = []
    for target, proposed, size in zip(clip.targets, proposals, clip.sizes.tolist(), strict=True):
        tracks = pseudo_tracks(*proposed, _annotated(target, *size), min_score, min_overlap, area)
        ids = target.category_ids.new_tensor([classes[column] for column in tracks.columns.tolist()])
        known = None if target.identities is None else torch.cat([target.identities, torch.full_like(ids, -1)])
        targets.append(Targets(torch.cat([target.category_ids, ids]), torch.cat([target.masks, tracks.masks]), known))
    return replace(clip, targets=tuple(targets))


def _annotated(target: Targets, height: int, width: int) -> Tensor:
    """[T, H, W] bool: where there is ground truth, or no image but padding."""
    pixels = target.masks.any(0)
    pixels[:, height:] = True
    pixels[:, :, width:] = True
    return pixels
