"""Mask2Former-VIS's losses: classification over all queries, BCE and dice at points of the matched masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.background import column_weights, num_classes
from cvis.segmenters.contract import Classify, Cost
from cvis.segmenters.mask2former.matcher import Matching, assign, pairwise_cost
from cvis.segmenters.mask2former.points import sample, uncertain_points
from cvis.segmenters.outputs import Output


def softmax_cross_entropy(logits: Tensor, columns: Tensor, no_object_weight: float) -> Tensor:
    """Weighted mean of the cross entropy of logits [B, Q, K+1] and columns [B, Q]."""
    return F.cross_entropy(logits.flatten(0, 1), columns.flatten(), column_weights(logits, no_object_weight))


class Criterion:
    """Matching and losses of one batch.

    Each prediction layer gets 2 * classification + 5 * BCE + 5 * dice. BCE (mean over points) and dice are
    taken per track and frame, summed, and divided by the number of target tracks, averaged over the ranks:
    detectron2's rule, in which a clip of T frames weighs T times a frame.

    Args:
        num_points: points per mask, in the matching (shared by all frames and masks of a clip) and in the loss.
        oversample, importance: see :func:`uncertain_points`.
        no_object_weight: weight of the no-object class in the classification loss.
        class_weight, mask_weight, dice_weight: of the three losses.
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
    ) -> None:
        if num_points < 1:
            raise ValueError(f"num_points: {num_points}: must be at least 1")
        self.num_points = num_points
        self.oversample, self.importance = oversample, importance
        self.no_object_weight = no_object_weight
        self.weights = (class_weight, mask_weight, dice_weight)

    def __call__(
        self,
        outputs: Sequence[Output],
        columns: Sequence[Tensor],
        masks: Sequence[Tensor],
        classify: Classify | Sequence[Classify],
        class_weight: float | None = None,
        cost: Cost = pairwise_cost,
    ) -> dict[str, Tensor]:
        """Losses by name: ``loss_cls``, ``loss_mask``, ``loss_dice`` of the last layer, ``d0.loss_cls``, ... before.

        Args:
            outputs: one per prediction layer.
            columns: per clip [N] int64.
            masks: per clip [N, T, H, W] bool, padded as the network's input is.
            classify: the classification loss, or one for each prediction layer.
            class_weight: in place of the one given at construction.
            cost: what the matching minimises.
        """
        padded = pad_tracks(masks, outputs[0].masks.dtype)
        with torch.autocast(outputs[0].masks.device.type, enabled=False):
            matching = self.match(outputs, columns, padded, cost=cost)
            logits = [output.logits.to(padded.dtype) for output in outputs]
            classes = self._class_losses(logits, columns, matching, classify)
            bce, dice = self._mask_losses(outputs, matching, padded, [len(ids) for ids in columns])
        weights = (self.weights[0] if class_weight is None else class_weight, *self.weights[1:])
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
        cost: Cost = pairwise_cost,
    ) -> Matching:
        """Match every layer's queries with the targets, at the same points for all.

        Args:
            padded: [B, N, T, H, W], see :func:`pad_tracks`; the costs are computed in its type.
            points: [B, P, 2]; None: uniform at random.
        """
        return assign(self.costs(outputs, columns, padded, points, cost), [len(ids) for ids in columns])

    @torch.no_grad()
    def costs(
        self,
        outputs: Sequence[Output],
        columns: Sequence[Tensor],
        padded: Tensor,
        points: Tensor | None = None,
        cost: Cost = pairwise_cost,
    ) -> Tensor:
        """What :meth:`match` minimises: [L, B, Q, N]; arguments as there."""
        with torch.autocast(padded.device.type, enabled=False):  # the same costs whoever calls
            counts = [len(ids) for ids in columns]
            batch, width = padded.shape[:2]
            if points is None:
                points = torch.rand(batch, self.num_points, 2, device=padded.device, dtype=padded.dtype)
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
        self, outputs: Sequence[Output], matching: Matching, padded: Tensor, counts: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """BCE and dice of each layer: two [L]."""
        normaliser = num_tracks(sum(counts), padded.device)  # first of all: every rank takes part, also without tracks
        query = matching.query.clamp(min=0)  # a track without a query borrows the first, with weight zero
        predicted = torch.stack(
            [output.masks[matching.clip, chosen] for output, chosen in zip(outputs, query, strict=True)]
        ).to(padded.dtype)  # fmt: skip
        layers, tracks, frames = predicted.shape[:3]
        if tracks == 0:
            nothing = predicted.flatten(1).sum(1)  # zero, and still part of the graph
            return nothing, nothing
        rows = predicted.flatten(0, 2)[:, None]
        points = uncertain_points(rows, self.num_points, self.oversample, self.importance)
        logits = sample(rows, points).view(layers, tracks, frames, -1)
        with torch.no_grad():
            truth = torch.cat([masks[:count] for masks, count in zip(padded, counts, strict=True)])
            by_mask = points.unflatten(0, (layers, -1)).transpose(0, 1).flatten(1, 2)  # [G*T, L*P, 2]
            values = sample(truth.flatten(0, 1)[:, None], by_mask)
            targets = values.view(tracks, frames, layers, -1).permute(2, 0, 1, 3)
        weight = (matching.query >= 0)[:, :, None].to(padded.dtype) / normaliser
        bce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)
        return (bce * weight).sum((1, 2)), (dice_loss(logits, targets) * weight).sum((1, 2))


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - (2 sum(p t) + 1) / (sum p + sum t + 1) over the last axis, p = sigmoid(logits)."""
    inside = logits.sigmoid()
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


def num_tracks(tracks: int, device: torch.device) -> float | Tensor:
    """Target tracks per rank, averaged over the ranks, at least one."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return float(max(tracks, 1))
    total = torch.tensor(float(tracks), device=device)
    torch.distributed.all_reduce(total)
    return (total / torch.distributed.get_world_size()).clamp(min=1)
