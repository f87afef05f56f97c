"""Mask2Former-VIS's losses: classification over all queries, BCE and dice at points of the matched masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.errors import UserError
from cvis.segmenters.background import num_classes, weighted_nll
from cvis.segmenters.contract import Classify
from cvis.segmenters.mask2former.matcher import MASK2FORMER, Matching, assign, pairwise_cost, product_cost
from cvis.segmenters.mask2former.points import sample, uncertain_points
from cvis.segmenters.outputs import Output
from cvis.segmenters.shared_batch import even_part, gathered_part, uniform

CostWeights = Literal["mask2former", "losses"]


def softmax_cross_entropy(logits: Tensor, columns: Tensor, no_object_weight: float) -> Tensor:
    """Weighted mean of the cross entropy of logits [B, Q, K+1] and columns [B, Q]."""
    return weighted_nll(logits.log_softmax(-1), columns, no_object_weight)


class Criterion:
    """Matching and losses of one batch.

    Each prediction layer gets 2 * classification + 5 * BCE + 5 * dice. BCE (mean over points) and dice are
    taken per track and frame, summed, and divided by the number of target tracks, averaged over the processes:
    detectron2's rule, in which a clip of T frames weighs T times a frame.

    Args:
        num_points: points per mask, in the matching (shared by all frames and masks of a clip) and in the loss.
        oversample, importance: see :func:`uncertain_points`.
        no_object_weight: weight of the no-object class in the classification loss.
        class_weight, mask_weight, dice_weight: of the three losses.
        cost_weights: of class, BCE and dice in what the matching minimises: 2, 5, 5 as in ``mask2former``, whatever
            those of the losses are, or the ``losses``' own, as in the reference codes, in which a ``class_weight``
            that a call brings counts too. The cost of soft masks is a product and has no weights.
    """

    def __init__(
        self,
        num_points: int = 12544,
        oversample: float = 3.0,
        importance: float = 0.75,
        no_object_weight: float = 0.1,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        cost_weights: CostWeights = "mask2former",
    ) -> None:
        if num_points < 1:
            raise ValueError(f"num_points: {num_points}: must be at least 1")
        if cost_weights not in get_args(CostWeights):
            known = ", ".join(get_args(CostWeights))
            raise UserError(f"segmenter.criterion.cost_weights: {cost_weights!r}: choose one of {known}")
        self.num_points = num_points
        self.oversample, self.importance = oversample, importance
        self.no_object_weight = no_object_weight
        self.weights = (class_weight, mask_weight, dice_weight)
        self.cost_weights = cost_weights

    def __call__(
        self,
        outputs: Sequence[Output],
        columns: Sequence[Tensor],
        masks: Sequence[Tensor],
        classify: Classify | Sequence[Classify],
        class_weight: float | None = None,
        soft_masks: bool = False,
        matching: Matching | None = None,
    ) -> dict[str, Tensor]:
        """Losses by name: ``loss_cls``, ``loss_mask``, ``loss_dice`` of the last layer, ``d0.loss_cls``, ... before.

        Args:
            outputs: one per prediction layer.
            columns: per clip [N] int64.
            masks: per clip [N, T, H, W] bool, padded as the network's input is.
            classify: the classification loss, or one for each prediction layer.
            class_weight: in place of the one given at construction.
            soft_masks: see :class:`~cvis.segmenters.contract.AlignedQueries`; the BCE of a mask is then the one term
                -t log p, which is enough where probabilities compete, and the matching is by :func:`product_cost`.
            matching: what :meth:`match` answered; None: it is asked.
        """
        padded = pad_tracks(masks, outputs[0].masks.dtype)
        with torch.autocast(outputs[0].masks.device.type, enabled=False):
            if matching is None:
                matching = self.match(outputs, columns, padded, class_weight=class_weight, soft_masks=soft_masks)
            logits = [output.logits.to(padded.dtype) for output in outputs]
            classes = self._class_losses(logits, columns, matching, classify)
            bce, dice = self._mask_losses(outputs, matching, padded, [len(ids) for ids in columns], soft_masks)
        weights = self._loss_weights(class_weight)
        losses = {}
        for index in range(len(outputs)):
            prefix = "" if index == len(outputs) - 1 else f"d{index}."
            for name, values, weight in zip(
                ("cls", "mask", "dice"), (classes, bce.unbind(), dice.unbind()), weights, strict=True
            ):
                losses[f"{prefix}loss_{name}"] = weight * values[index]
        return losses

    @torch.no_grad()
    def match(
        self,
        outputs: Sequence[Output],
        columns: Sequence[Tensor],
        padded: Tensor,
        points: Tensor | None = None,
        class_weight: float | None = None,
        soft_masks: bool = False,
    ) -> Matching:
        """Match every layer's queries with the targets, at the same points for all.

        Args:
            padded: [B, N, T, H, W], see :func:`pad_tracks`; the costs are computed in its type.
            points: [B, P, 2]; None: uniform at random.
            class_weight, soft_masks: as of the losses.
        """
        costs = self.costs(outputs, columns, padded, points, class_weight, soft_masks)
        return assign(costs, [len(ids) for ids in columns])

    @torch.no_grad()
    def costs(
        self,
        outputs: Sequence[Output],
        columns: Sequence[Tensor],
        padded: Tensor,
        points: Tensor | None = None,
        class_weight: float | None = None,
        soft_masks: bool = False,
    ) -> Tensor:
        """What :meth:`match` minimises: [L, B, Q, N]; arguments as there."""
        weights = self._loss_weights(class_weight) if self.cost_weights == "losses" else MASK2FORMER
        cost = product_cost if soft_masks else partial(pairwise_cost, weights=weights)
        with torch.autocast(padded.device.type, enabled=False):  # the same costs whoever calls
            counts = [len(ids) for ids in columns]
            batch, width = padded.shape[:2]
            if points is None:
                points = uniform((batch, self.num_points, 2), even_part(batch), 0, padded)
            ids = padded.new_zeros(batch, width, dtype=torch.int64)
            for clip, count in enumerate(counts):
                ids[clip, :count] = columns[clip]
            frames = padded.shape[2]
            targets = sample(padded.flatten(1, 2), points).unflatten(1, (width, frames)).flatten(2)
            costs = []
            for output in outputs:
                values = sample(output.masks.to(padded.dtype).flatten(1, 2), points)
                values = values.unflatten(1, (-1, frames)).flatten(2)
                costs.append(cost(output.logits.to(padded.dtype), values, ids, targets))
            return torch.stack(costs)

    def _loss_weights(self, class_weight: float | None) -> tuple[float, float, float]:
        return (self.weights[0] if class_weight is None else class_weight, *self.weights[1:])

    def _class_losses(
        self,
        logits: Sequence[Tensor],
        columns: Sequence[Tensor],
        matching: Matching,
        classify: Classify | Sequence[Classify],
    ) -> list[Tensor]:
        ids = torch.cat(list(columns))
        of_layer = [classify] * len(logits) if callable(classify) else classify
        losses = []
        for layer, query, classify_layer in zip(logits, matching.query, of_layer, strict=True):
            wanted = torch.full(layer.shape[:2], num_classes(layer), device=ids.device)
            matched = query >= 0
            wanted[matching.clip[matched], query[matched]] = ids[matched]
            losses.append(classify_layer(layer, wanted, self.no_object_weight))
        return losses

    def _mask_losses(
        self,
        outputs: Sequence[Output],
        matching: Matching,
        padded: Tensor,
        counts: Sequence[int],
        soft_masks: bool,
    ) -> tuple[Tensor, Tensor]:
        """BCE and dice of each layer: two [L]."""
        part = gathered_part(sum(counts), padded.device)  # every process takes part, also without tracks
        query = matching.query.clamp(min=0)  # a track without a query borrows the first, with weight zero
        predicted = torch.stack(
            [output.masks[matching.clip, chosen] for output, chosen in zip(outputs, query, strict=True)]
        ).to(padded.dtype)  # fmt: skip
        layers, tracks, frames = predicted.shape[:3]

        def draw(number: int) -> Tensor:
            return uniform((layers, tracks, frames, number, 2), part, 1, predicted).flatten(0, 2)

        rows = predicted.flatten(0, 2)[:, None]
        # of soft masks too where the logit itself is near zero: CoMFormer's softmax comes after the sampling
        points = uncertain_points(rows, self.num_points, self.oversample, self.importance, draw)
        if tracks == 0:
            nothing = predicted.flatten(1).sum(1)  # zero, and still part of the graph
            return nothing, nothing
        logits = sample(rows, points).view(layers, tracks, frames, -1)
        with torch.no_grad():
            truth = torch.cat([masks[:count] for masks, count in zip(padded, counts, strict=True)])
            by_mask = points.unflatten(0, (layers, -1)).transpose(0, 1).flatten(1, 2)  # [G*T, L*P, 2]
            values = sample(truth.flatten(0, 1)[:, None], by_mask)
            targets = values.view(tracks, frames, layers, -1).permute(2, 0, 1, 3)
        weight = (matching.query >= 0)[:, :, None].to(padded.dtype) / part.divisor
        if soft_masks:
            log_p = logits - log_sum_of_queries(outputs, points.view(*logits.shape, 2), counts)
            bce, inside = -targets * log_p, log_p.exp()
        else:
            bce, inside = F.binary_cross_entropy_with_logits(logits, targets, reduction="none"), logits.sigmoid()
        return (bce.mean(-1) * weight).sum((1, 2)), (dice_loss(inside, targets) * weight).sum((1, 2))


def log_sum_of_queries(outputs: Sequence[Output], points: Tensor, counts: Sequence[int]) -> Tensor:
    """log sum_q exp(z_q) of the mask logits z of all queries at the points of each track: the softmax's denominator.

    Args:
        outputs: L layers.
        points: [L, G, T, P, 2].
        counts: how many of the G tracks each clip has.

    Returns:
        [L, G, T, P].
    """
    sums = []
    for clip, of_clip in enumerate(points.split(list(counts), dim=1)):
        masks = torch.stack([output.masks[clip] for output in outputs]).to(points.dtype)  # [L, Q, T, h, w]
        # the tracks of a clip side by side: its masks, the large part, are not repeated for each of them
        values = sample(masks.transpose(1, 2).flatten(0, 1), of_clip.transpose(1, 2).flatten(2, 3).flatten(0, 1))
        layers, tracks, frames, number, _ = of_clip.shape
        sums.append(values.logsumexp(1).view(layers, frames, tracks, number).transpose(1, 2))
    return torch.cat(sums, dim=1)


def dice_loss(inside: Tensor, targets: Tensor) -> Tensor:
    """1 - (2 sum(p t) + 1) / (sum p + sum t + 1) over the last axis, p = ``inside``."""
    return 1 - (2 * (inside * targets).sum(-1) + 1) / (inside.sum(-1) + targets.sum(-1) + 1)


def pad_tracks(masks: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> Tensor:
    """Stack clips of different numbers of tracks, with zeros after the last.

    Args:
        masks: per clip [N_b, T, H, W] bool.
        dtype: of the predicted masks; the result has at least single precision.

    Returns:
        [B, max N_b, T, H, W].
    """
    width = max(len(clip) for clip in masks)
    dtype = torch.promote_types(dtype, torch.float32)
    padded = torch.zeros(len(masks), width, *masks[0].shape[1:], device=masks[0].device, dtype=dtype)
    for row, clip in zip(padded, masks, strict=True):
        row[: len(clip)] = clip
    return padded
