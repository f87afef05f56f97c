"""CoMFormer (Cermelli et al., CVPR 2023): adaptive distillation and mask pseudo-labels, for tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cvis.learners.distill import (
    Distiller,
    OldView,
    adaptive_mean,
    softmax_focal,
    unbiased_distillation,
    with_pseudo_labels,
)
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Weight
from cvis.segmenters import Segmenter
from cvis.segmenters.background import class_probabilities
from cvis.segmenters.outputs import Answers, Maps, Memory, Output
from cvis.types import Clip, Targets, Tracks, Video


@LEARNERS.register_module(name="comformer")
class CoMFormer(Distiller):
    """Unbiased distillation weighted by how sure the old model is of an object, and its tracks as pseudo-labels.

    Args:
        kd_weight: of the distillation; the released image configurations have 10 for many steps.
        adaptive: weight queries by (1 - q(no-object))^2; without it, their plain mean.
        pseudo_labels: the old model's tracks are targets.
        min_score, min_overlap: see :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`.
        focal: softmax focal loss (alpha 5, gamma 1) after step 0, in place of the weighted cross entropy.
        soft_masks: masks are softmaxed over queries, in losses, pseudo-labels and answers, and matching maximises
            2 p d / (p + d). A model so trained differs from the start: the method then trains a step 0 of its own.
        lr_mult: factor on the schedule's learning rate after step 0.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        kd_weight: Weight = 10.0,
        adaptive: bool = True,
        pseudo_labels: bool = True,
        min_score: Weight = 0.0,
        min_overlap: Weight = 0.5,
        focal: bool = False,
        soft_masks: bool = False,
        **teacher: Any,
    ) -> None:
        super().__init__(segmenter, **teacher)
        self.kd_weight, self.min_score, self.min_overlap = kd_weight, min_score, min_overlap
        self.adaptive, self.pseudo_labels, self.focal = adaptive, pseudo_labels, focal
        self.own_step0 = self.soft_masks = soft_masks

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        targets = clip.targets
        if self.pseudo_labels:
            answer = replace(old.answer, masks=compete(old.answer.masks)) if self.soft_masks else old.answer
            proposals = old.proposals(clip, answer)
            targets = with_pseudo_labels(clip, proposals, old.classes, self.min_score, self.min_overlap).targets
        losses = self._criterion(new, targets, focal=self.focal)
        old_logits = old.layers[-1].logits
        kept = unbiased_distillation(new[-1].logits, old_logits)
        losses["loss_kd"] = self.kd_weight * (adaptive_mean(kept, old_logits) if self.adaptive else kept.mean())
        return losses

    def base_loss(self, clip: Clip, maps: Maps | None) -> dict[str, Tensor]:
        return self._criterion(self.new_view(maps), clip.targets, focal=False)

    def _criterion(self, new: Sequence[Output], targets: Sequence[Targets], focal: bool) -> dict[str, Tensor]:
        cost = None
        if self.soft_masks:
            new = [replace(output, masks=compete(output.masks)) for output in new]
            cost = product_cost
        return self.segmenter.criterion(new, targets, softmax_focal if focal else None, cost=cost)

    def predict(self, video: Video) -> Tracks:
        return self.segmenter.predict(video, self._read if self.soft_masks else None)

    def _read(self, memory: Memory) -> list[Answers]:
        answer = self.segmenter.decode_queries(memory)[-1]
        return [Answers(class_probabilities(answer.logits[0]), answer.mask_embeddings[0], masks=compete)]


def compete(masks: Tensor) -> Tensor:
    """Log-odds of the softmax over queries (CoMFormer's soft masks): a pixel is one query's, or in doubt.

    Args:
        masks: logits, queries in the second axis [B, Q, ...].

    Returns:
        x with sigmoid(x) = softmax of ``masks`` over Q, so that all that reads mask logits can read it.
    """
    share = masks.log_softmax(1).clamp(max=-1e-6)  # a lone winner has finite odds
    return share - torch.log(-torch.expm1(share))


def product_cost(logits: Tensor, masks: Tensor, columns: Tensor, targets: Tensor) -> Tensor:
    """cost = -2 p d / (p + d), p the class probability and d = (2 m . t + 1) / (sum m + sum t + 1) the soft dice.

    CoMFormer's, for soft masks; arguments as those of
    :func:`~cvis.segmenters.mask2former.matcher.pairwise_cost`.
    """
    wanted = columns[..., None, :].expand(*logits.shape[:-1], columns.shape[-1])
    probability = logits.softmax(-1).gather(-1, wanted)
    inside = masks.sigmoid()
    sums = inside.sum(-1, keepdim=True) + targets.sum(-1)[..., None, :]
    dice = (2 * inside @ targets.transpose(-1, -2) + 1) / (sums + 1)
    return -2 * probability * dice / (probability + dice)
