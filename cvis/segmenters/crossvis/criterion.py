"""CrossVIS's losses: FCOS's of every location, masks within a frame and across frames, and identities."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.background import sigmoid_focal
from cvis.segmenters.contract import Classify
from cvis.segmenters.crossvis.assignment import Positives, Seen, assign, partners
from cvis.segmenters.crossvis.masks import dice_loss, dynamic_masks
from cvis.segmenters.crossvis.outputs import Locations
from cvis.segmenters.shared_batch import gathered_part, mean_of_all, uniform
from cvis.segmenters.vistr.boxes import giou

Centre = Literal["mask", "box"]


class Criterion:
    """All losses weigh 1, as published. P positive locations are counted in all processes.

    Args:
        class_weight: of sum focal / P, over all locations and classes.
        box_weight: of sum c (1 - GIoU) / sum c, c the centreness of a positive location.
        centre_weight: of sum BCE(centreness) / P.
        dice_weight: of the masks (equation 8).
        cross_weight: of crossover learning, the mean of both directions (equations 6 and 7).
        identity_weight: of :func:`identity_loss`.
        centre_radius: see :func:`assign`.
        centre: of an object: of its ``mask`` (released code, as CondInst) or of its ``box`` (as FCOS).
        max_masks: of more positive locations than that, in the whole batch, about so many have their masks trained.
    """

    def __init__(
        self,
        class_weight: float = 1.0,
        box_weight: float = 1.0,
        centre_weight: float = 1.0,
        dice_weight: float = 1.0,
        cross_weight: float = 1.0,
        identity_weight: float = 1.0,
        centre_radius: float = 1.5,
        centre: Centre = "mask",
        max_masks: int = 500,
    ) -> None:
        if centre not in (known := get_args(Centre)):
            raise UserError(f"segmenter.criterion.centre: {centre!r}: choose one of {', '.join(known)}")
        self.class_weight = class_weight
        self.weights = {
            "loss_box": box_weight,
            "loss_centre": centre_weight,
            "loss_dice": dice_weight,
            "loss_cross": cross_weight,
            "loss_id": identity_weight,
        }
        self.centre_radius, self.centre, self.max_masks = centre_radius, centre, max_masks

    def __call__(
        self,
        output: Locations,
        shown: Seen,
        identities: nn.Linear,
        stride: int,
        factor: int,
        classify: Classify | None = None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """Losses by name, weighted.

        Args:
            shown: what the frames show.
            identities: logits of the identities, of embeddings.
            stride, factor: of :func:`dynamic_masks`.
            classify: in place of :func:`sigmoid_focal`.
            class_weight: in place of the one given at construction.
        """
        positives = assign(output.grid, shown, len(output.sides), self.centre_radius)
        number = gathered_part(len(positives), output.sides.device).divisor
        columns = torch.full(output.sides.shape[:2], output.logits.shape[-1], device=output.sides.device)
        columns[positives.frame, positives.location] = shown.column[positives.row]
        losses = {
            **self._boxes(output, positives, number),
            **self._masks(output, positives, shown, stride, factor),
            "loss_id": identity_loss(
                output.embeddings[positives.frame, positives.location],
                shown.identity[positives.row],
                identities,
            ),
        }
        weight = self.class_weight if class_weight is None else class_weight
        of_class = (classify or sigmoid_focal)(output.logits, columns.view(output.logits.shape[:2]), 1.0)
        return {"loss_cls": weight * of_class, **{name: self.weights[name] * value for name, value in losses.items()}}

    @staticmethod
    def _boxes(output: Locations, positives: Positives, number: float) -> dict[str, Tensor]:
        found = output.sides[positives.frame, positives.location]
        overlap = giou(_around(found), _around(positives.sides.to(found)))
        centreness = positives.centreness.to(found)
        total = mean_of_all(centreness.sum()).clamp(min=1e-6)
        logits = output.centreness[positives.frame, positives.location]
        wrong = F.binary_cross_entropy_with_logits(logits, centreness, reduction="sum")
        return {
            "loss_box": (centreness * (1 - overlap)).sum() / total,
            "loss_centre": wrong / number,
        }

    def _masks(
        self, output: Locations, positives: Positives, shown: Seen, stride: int, factor: int
    ) -> dict[str, Tensor]:
        """Plain and crossed masks, in one go."""
        part = gathered_part(len(positives), output.sides.device)
        drawn = uniform((len(positives), 3), part, 0, output.sides)
        trained = drawn[:, 0] * part.total < self.max_masks
        own = trained.nonzero().squeeze(1)
        pairs = [(own, own)]
        for step, draw in ((1, drawn[:, 1]), (-1, drawn[:, 2])):
            source, partner = partners(positives, shown, output.frames, step, draw)
            pairs.append((source[trained[source]], partner[trained[source]]))
        source, place = (torch.cat(rows) for rows in zip(*pairs, strict=True))
        location = positives.location[place]
        masks = dynamic_masks(
            output.filters[positives.frame[source], positives.location[source]],
            output.grid.points[location],
            output.grid.interest[location],
            positives.frame[place],
            output.mask_features,
            stride,
            factor,
        )
        fine = stride // factor
        wanted = shown.masks[:, fine // 2 :: fine, fine // 2 :: fine].to(masks)[positives.row[place]]
        counts = [len(rows) for rows, _ in pairs]
        plain, later, earlier = (
            loss.sum() / gathered_part(count, loss.device).divisor
            for loss, count in zip(dice_loss(masks, wanted).split(counts), counts, strict=True)
        )
        return {"loss_dice": plain, "loss_cross": (later + earlier) / 2}


def identity_loss(embeddings: Tensor, identity: Tensor, classifier: nn.Linear) -> Tensor:
    """Focal loss of sigmoids W e + b over N identities, e = sqrt(2) ln(N - 1) ê / |ê| (equations 11 to 14), its sum
    over the number of locations whose identity is known.

    Args:
        embeddings: ê [P, D].
        identity: [P] int64; -1: not known, and taught nothing.

    Raises:
        UserError: the training set has more identities than the classifier.
    """
    many = classifier.out_features
    if len(identity) and int(identity.amax()) >= many:
        said = f"segmenter.num_identities: {many}: too few: a track of the training set has number {identity.amax()}"
        raise UserError(f"{said}; give at least the tracks of the largest step, of the whole stream for joint")
    known = identity >= 0
    scaled = math.sqrt(2) * math.log(many - 1) * F.normalize(embeddings[known], dim=-1)
    return sigmoid_focal(classifier(scaled)[None], identity[known][None])


def _around(sides: Tensor) -> Tensor:
    """l, t, r, b -> cx, cy, w, h, seen from the point."""
    low, high = sides.split(2, -1)
    return torch.cat(((high - low) / 2, high + low), -1)
