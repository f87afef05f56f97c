"""CoMFormer (Cermelli et al., CVPR 2023): adaptive distillation and mask pseudo-labels, for tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
from cvis.learners.distill.learner import at_least_zero, switch
from cvis.learners.registry import LEARNERS
from cvis.segmenters import Output, Segmenter
from cvis.segmenters.mask2former.matcher import product_cost
from cvis.segmenters.mask2former.points import compete
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
        kd_weight: float = 10.0,
        adaptive: bool = True,
        pseudo_labels: bool = True,
        min_score: float = 0.0,
        min_overlap: float = 0.5,
        focal: bool = False,
        soft_masks: bool = False,
        lr_mult: float = 1.0,
    ) -> None:
        super().__init__(segmenter, lr_mult)
        self.kd_weight = at_least_zero("kd_weight", kd_weight)
        self.min_score = at_least_zero("min_score", min_score)
        self.min_overlap = at_least_zero("min_overlap", min_overlap)
        self.adaptive = switch("adaptive", adaptive)
        self.pseudo_labels = switch("pseudo_labels", pseudo_labels)
        self.focal = switch("focal", focal)
        self.own_step0 = self.soft_masks = switch("soft_masks", soft_masks)

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        targets = clip.targets
        if self.pseudo_labels:
            labelled = with_pseudo_labels(clip, old, self.min_score, self.min_overlap, soft_masks=self.soft_masks)
            targets = labelled.targets
        losses = self._criterion(new, targets, focal=self.focal)
        old_logits = old.layers[-1].logits
        kept = unbiased_distillation(new[-1].logits, old_logits)
        losses["loss_kd"] = self.kd_weight * (adaptive_mean(kept, old_logits) if self.adaptive else kept.mean())
        return losses

    def base_losses(self, clip: Clip, new: Sequence[Output]) -> dict[str, Tensor]:
        return self._criterion(new, clip.targets, focal=False)

    def _criterion(self, new: Sequence[Output], targets: Sequence[Targets], focal: bool) -> dict[str, Tensor]:
        cost = None
        if self.soft_masks:
            new = [replace(output, masks=compete(output.masks)) for output in new]
            cost = product_cost
        return self.segmenter.criterion(new, targets, softmax_focal if focal else None, cost=cost)

    def predict(self, video: Video) -> Tracks:
        if not self.soft_masks:
            return self.segmenter.predict(video)
        with torch.inference_mode():
            memory = self.segmenter.video_features(video)
            answer = self.segmenter.decode_queries(memory, prediction_layers="last")[0]
            scores = answer.logits[0].softmax(-1)[:, :-1]
            return self.segmenter.tracks(video, memory, scores, answer.mask_embeddings[0], soft_masks=True)
