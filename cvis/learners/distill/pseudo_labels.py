"""Pseudo-labels: what the old model is sure to see, where nothing is annotated, becomes a target."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from cvis.learners.distill.teacher import OldView
from cvis.segmenters.mask2former.decoder import resize
from cvis.segmenters.mask2former.points import compete
from cvis.types import Clip, Targets

Area = Literal["assigned", "kept"]


class PseudoTracks(NamedTuple):
    """N tracks that a model proposes for one clip."""

    queries: Tensor  # [N] int64
    columns: Tensor  # [N] int64, of the model's class logits
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

    Every pixel of every frame goes to the query with the greatest score * mask probability, once. A query's track
    is those of its pixels where its mask is at least 0.5 and nothing is annotated. It is kept if it is not empty
    and its area is more than ``min_overlap`` of its whole mask's; areas are summed over all frames.

    Args:
        probabilities: [Q, o+1] of o classes and no-object; a query whose best is no-object proposes nothing.
        masks: [Q, T, H, W] probabilities.
        annotated: [T, H, W] bool: ground truth, or pixels that are no image.
        min_score: a query proposes only above this class probability.
        min_overlap: see above.
        area: which area is compared: all pixels that went to the query (``assigned``, CoMFormer), or those of its
            track (``kept``, BalConpas).
    """
    scores, columns = probabilities.max(-1)
    queries = ((columns < probabilities.shape[-1] - 1) & (scores > min_score)).nonzero().squeeze(1)
    own = masks[queries]
    if not len(queries):
        return PseudoTracks(queries, columns[queries], own.bool())
    owner = (scores[queries, None, None, None] * own).argmax(0)
    assigned = (owner == torch.arange(len(queries), device=own.device)[:, None, None, None]) & ~annotated
    inside = own >= 0.5
    tracks = assigned & inside
    compared = (assigned if area == "assigned" else tracks).flatten(1).sum(1)
    kept = tracks.flatten(1).any(1) & (compared > min_overlap * inside.flatten(1).sum(1))
    return PseudoTracks(queries[kept], columns[queries][kept], tracks[kept])


@torch.no_grad()
def with_pseudo_labels(
    clip: Clip,
    old: OldView,
    min_score: float = 0.0,
    min_overlap: float = 0.5,
    area: Area = "assigned",
    soft_masks: bool = False,
) -> Clip:
    """The batch with the old model's tracks appended to its targets, under data-set ids like all others.

    Args:
        min_score, min_overlap, area: see :func:`pseudo_tracks`.
        soft_masks: the old model's queries compete for pixels, see :func:`~cvis.segmenters.mask2former.points.compete`.
    """
    masks = compete(old.answer.masks) if soft_masks else old.answer.masks
    probabilities = old.answer.logits.softmax(-1)
    targets = []
    for index, (target, size) in enumerate(zip(clip.targets, clip.sizes.tolist(), strict=True)):
        # resizing the masks of queries that propose nothing would cost the most
        proposing = (probabilities[index].argmax(-1) < len(old.classes)).nonzero().squeeze(1)
        large = resize(masks[index, proposing].float(), old.memory.size)
        found = pseudo_tracks(
            probabilities[index, proposing].float(),
            large[..., : target.masks.shape[-2], : target.masks.shape[-1]].sigmoid(),
            _annotated(target, *size),
            min_score,
            min_overlap,
            area,
        )
        ids = target.category_ids.new_tensor([old.classes[column] for column in found.columns.tolist()])
        targets.append(Targets(torch.cat([target.category_ids, ids]), torch.cat([target.masks, found.masks])))
    return replace(clip, targets=tuple(targets))


def _annotated(target: Targets, height: int, width: int) -> Tensor:
    """[T, H, W] bool: where there is ground truth, or no image but padding."""
    pixels = target.masks.any(0)
    pixels[:, height:] = True
    pixels[:, :, width:] = True
    return pixels
