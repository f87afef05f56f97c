"""VisTR's matching of sequences and its losses: class, box and mask of every frame in which a target is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.background import num_classes
from cvis.segmenters.contract import Classify
from cvis.segmenters.mask2former.criterion import dice_loss
from cvis.segmenters.mask2former.matcher import Matching, assign
from cvis.segmenters.shared_batch import gathered_part
from cvis.segmenters.vistr.boxes import giou, mask_boxes
from cvis.segmenters.vistr.outputs import BoxedOutput

COSTS = (1.0, 5.0, 2.0)
"""What class, L1 and GIoU weigh in the matching, whatever those of the losses are."""
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0


@dataclass(frozen=True)
class Sequences:
    """The N tracks of a clip that are to be found, frame by frame; a target that no frame shows is none of them."""

    columns: Tensor  # [N] int64, of their classes
    masks: Tensor  # [N, T, H, W] bool
    boxes: Tensor  # [N, T, 4] cx, cy, w, h as shares of the image; zeros where absent
    visible: Tensor  # [N, T] bool


def sequences(columns: Tensor, masks: Tensor, extent: Tensor) -> Sequences:
    """Targets as the matching sees them.

    Args:
        columns: [M].
        masks: [M, T, H, W] bool, padded as the frames are.
        extent: [2], width and height of the image as shares of the padded frame's.
    """
    visible = masks.flatten(2).any(-1)
    seen = visible.any(-1)
    boxes = mask_boxes(masks[seen]) / extent.repeat(2)
    return Sequences(columns[seen], masks[seen], boxes, visible[seen])


def sequence_cost(logits: Tensor, boxes: Tensor, columns: Tensor, wanted: Tensor, visible: Tensor) -> Tensor:
    """cost[i, g] = mean over the frames t that show g of (-p_ti[c_g] + 5 |b_ti - b_gt|_1 - 2 GIoU(b_ti, b_gt)).

    Args:
        logits: [T, n, K+1].
        boxes: [T, n, 4].
        columns: [N].
        wanted: [N, T, 4], boxes of the targets.
        visible: [N, T] bool; a target that no frame shows costs nothing anywhere.

    Returns:
        [n, N].
    """
    of_class, of_l1, of_giou = COSTS
    pairs = boxes[:, :, None], wanted.transpose(0, 1)[:, None].to(boxes)  # [T, n, 1, 4] and [T, 1, N, 4]
    cost = of_l1 * (pairs[0] - pairs[1]).abs().sum(-1) - of_giou * giou(*pairs)
    cost = cost - of_class * logits.softmax(-1)[..., columns]
    seen = visible.T[:, None].to(cost)
    return (cost * seen).sum(0) / seen.sum(0).clamp(min=1)


class Criterion:
    """Matching and losses of one batch: all but the costs of :func:`sequence_cost` is DETR's, pair by pair.

    A pair is a target in a frame that shows it, and the query of its slot in that frame. Sums over the pairs are
    divided by their number, averaged over the processes.

    Args:
        no_object_weight: of the no-object class in the classification loss, which is over all queries.
        class_weight, l1_weight, giou_weight, mask_weight, dice_weight: of the losses; ``mask`` is the focal one.
        deep_masks: masks are taught in every prediction layer, not in the last alone as published.
    """

    def __init__(
        self,
        no_object_weight: float = 0.1,
        class_weight: float = 1.0,
        l1_weight: float = 5.0,
        giou_weight: float = 2.0,
        mask_weight: float = 1.0,
        dice_weight: float = 1.0,
        deep_masks: bool = False,
    ) -> None:
        self.no_object_weight, self.class_weight = no_object_weight, class_weight
        self.box_weights = (l1_weight, giou_weight)
        self.mask_weights = (mask_weight, dice_weight)
        self.deep_masks = deep_masks

    def __call__(
        self,
        outputs: Sequence[BoxedOutput],
        columns: Sequence[Tensor],
        masks: Sequence[Tensor],
        classify: Classify | Sequence[Classify],
        class_weight: float | None = None,
        soft_masks: bool = False,
    ) -> dict[str, Tensor]:
        """Losses by name: ``loss_cls``, ``loss_bbox``, ``loss_giou``, ``loss_mask``, ``loss_dice`` of the last layer;
        ``d0.loss_cls``, ... of those before.

        Args:
            outputs: one per prediction layer.
            columns: per clip [N] int64.
            masks: per clip [N, T, H, W] bool, padded as the network's input is.
            classify: the classification loss, or one for each prediction layer.
            class_weight: in place of the one given at construction.
            soft_masks: see :class:`~cvis.segmenters.contract.AlignedQueries`: the slots of a frame share its pixels,
                and the focal loss is the one term -t log p, which is enough where probabilities compete.
        """
        targets = self.sequences(outputs[-1], columns, masks)
        pairs = Pairs.of(targets, self.match(outputs, targets))
        of_layer = [classify] * len(outputs) if callable(classify) else classify
        weight = self.class_weight if class_weight is None else class_weight
        losses: dict[str, Tensor] = {}
        for index, (output, classify_layer) in enumerate(zip(outputs, of_layer, strict=True)):
            prefix = "" if index == len(outputs) - 1 else f"d{index}."
            found = {"cls": weight * classify_layer(*self._classes(output, pairs, index), self.no_object_weight)}
            found |= self._boxes(output, pairs, index)
            if self.deep_masks or not prefix:
                found |= self._masks(output, pairs, index, soft_masks)
            losses |= {f"{prefix}loss_{name}": value for name, value in found.items()}
        return losses

    @staticmethod
    def sequences(output: BoxedOutput, columns: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Sequences]:
        """The targets of each clip."""
        return [sequences(*clip) for clip in zip(columns, masks, output.extent, strict=True)]

    @torch.no_grad()
    def match(self, outputs: Sequence[BoxedOutput], targets: Sequence[Sequences]) -> Matching:
        """Match every layer's slots with the targets; a ``query`` of the answer is a slot."""
        counts = [len(target.columns) for target in targets]
        layers = []
        for output in outputs:
            costs = self.costs(output, targets)
            layers.append(torch.stack([F.pad(cost, (0, max(counts) - cost.shape[1])) for cost in costs]))
        return assign(torch.stack(layers), counts)

    @staticmethod
    @torch.no_grad()
    def costs(output: BoxedOutput, targets: Sequence[Sequences]) -> list[Tensor]:
        """:func:`sequence_cost` of each clip."""
        costs = []
        for logits, boxes, target in zip(output.logits, output.boxes, targets, strict=True):
            frames = (target.visible.shape[1], -1)
            rows = logits.float().unflatten(0, frames), boxes.float().unflatten(0, frames)
            costs.append(sequence_cost(*rows, target.columns, target.boxes, target.visible))
        return costs

    @staticmethod
    def _classes(output: BoxedOutput, pairs: Pairs, layer: int) -> tuple[Tensor, Tensor]:
        logits = output.logits.to(torch.promote_types(output.logits.dtype, torch.float32))
        wanted = torch.full(logits.shape[:2], num_classes(logits), device=logits.device)
        matched, query = pairs.queries(layer, logits.shape[1])
        wanted[pairs.clip[matched], query] = pairs.columns[matched]
        return logits, wanted

    def _boxes(self, output: BoxedOutput, pairs: Pairs, layer: int) -> dict[str, Tensor]:
        matched, query = pairs.queries(layer, output.boxes.shape[1])
        boxes = output.boxes[pairs.clip[matched], query]
        wanted = pairs.boxes[matched].to(boxes)
        l1, overlap = self.box_weights
        return {
            "bbox": l1 * (boxes - wanted).abs().sum() / pairs.number,
            "giou": overlap * (1 - giou(boxes, wanted)).sum() / pairs.number,
        }

    def _masks(self, output: BoxedOutput, pairs: Pairs, layer: int, soft_masks: bool) -> dict[str, Tensor]:
        """At the size of the targets: logits are resized, targets are not."""
        matched = pairs.slot[layer] >= 0
        wanted, clip, slot, frame = (of[matched] for of in (pairs.masks, pairs.clip, pairs.slot[layer], pairs.frame))
        if not len(wanted):  # zero, and still part of the graph
            nothing = 0 * output.masks_of(*clip.new_zeros(2, 1)).sum()
            return {"mask": nothing, "dice": nothing}
        if soft_masks:  # every slot of the frame is needed
            of_frames = output.masks.squeeze(2).unflatten(1, (pairs.frames, -1))
            row = torch.arange(len(slot), device=slot.device)
            log_p = _resized(of_frames[clip, frame], wanted).log_softmax(1)[row, slot]
            inside, loss = log_p.exp(), -wanted * log_p
        else:
            (clip, slot), place = torch.stack((clip, slot)).unique(dim=1, return_inverse=True)
            logits = _resized(output.masks_of(clip, slot)[place, frame][:, None], wanted)[:, 0]
            inside, loss = logits.sigmoid(), focal_loss(logits, wanted)
        of_mask, of_dice = self.mask_weights
        return {
            "mask": of_mask * loss.mean((1, 2)).sum() / pairs.number,
            "dice": of_dice * dice_loss(inside.flatten(1), wanted.flatten(1)).sum() / pairs.number,
        }


@dataclass(frozen=True)
class Pairs:
    """The P (target, frame) pairs of a batch in which the frame shows the target, and who is to answer them."""

    clip: Tensor  # [P] int64
    frame: Tensor  # [P] int64
    slot: Tensor  # [L, P] int64 of each prediction layer; -1: more targets than slots
    columns: Tensor  # [P]
    boxes: Tensor  # [P, 4]
    masks: Tensor  # [P, H, W], 0 or 1
    frames: int  # T
    number: float  # P, averaged over the processes; of all of them together at least 1

    @classmethod
    def of(cls, targets: Sequence[Sequences], matching: Matching) -> Pairs:
        visible = torch.cat([target.visible for target in targets])
        target, frame = visible.nonzero(as_tuple=True)
        masks = torch.cat([each.masks[each.visible] for each in targets])  # in the order of nonzero
        boxes = torch.cat([each.boxes[each.visible] for each in targets])
        columns = torch.cat([each.columns for each in targets])[target]
        number = gathered_part(len(target), visible.device).divisor
        slot = matching.query[:, target]
        return cls(matching.clip[target], frame, slot, columns, boxes, masks.float(), visible.shape[1], number)

    def queries(self, layer: int, num_queries: int) -> tuple[Tensor, Tensor]:
        """Which pairs have a slot in a layer, and its query in the pair's frame."""
        matched = self.slot[layer] >= 0
        return matched, self.frame[matched] * (num_queries // self.frames) + self.slot[layer][matched]


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """a_t (1 - p_t)^2 * -log p_t of every pixel; p_t is the probability of what is right, a_t 0.25 inside (Lin et al.,
    ICCV 2017)."""
    wrong = torch.where(targets > 0, -logits, logits)  # its sigmoid is 1 - p_t
    alpha = torch.where(targets > 0, FOCAL_ALPHA, 1 - FOCAL_ALPHA)
    return alpha * wrong.sigmoid() ** FOCAL_GAMMA * F.softplus(wrong)


def _resized(masks: Tensor, like: Tensor) -> Tensor:
    """Logits [P, n, h, w] at the size of targets [P, H, W], at least in single precision."""
    masks = masks.to(torch.promote_types(masks.dtype, torch.float32))
    return F.interpolate(masks, like.shape[-2:], mode="bilinear", align_corners=False)
