"""MiB (Cermelli et al., "Modeling the Background", CVPR 2020), for queries, locations or pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from cvis.errors import UserError
from cvis.learners.distill import (
    Distiller,
    OldView,
    kl,
    mask_distillation,
    slot_mean,
    unbiased_cross_entropy,
    unbiased_distillation,
    unbiased_focal,
)
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.background import num_classes, old_columns
from cvis.segmenters.contract import AlignedQueries, ClassSlots
from cvis.types import Clip


@LEARNERS.register_module(name="mib")
class MiB(Distiller):
    """Unbiased cross entropy and unbiased distillation: "no object" may hide old classes, and hid the new ones.

    The losses: :func:`~cvis.learners.distill.losses.unbiased_cross_entropy` of
    :func:`~cvis.learners.distill.losses.unbiased_log_probabilities`,
    :func:`~cvis.learners.distill.losses.unbiased_distillation` and, if asked for,
    :func:`~cvis.learners.distill.losses.mask_distillation`.

    Args:
        kd_weight: of the distillation of class probabilities, last layer, mean over queries or pixels. Published values
            for mask classification reach from 1 to 200.
        unbiased_ce: an unmatched query may be of an old class; without it, it must be no-object.
        unbiased_kd: the old model's "no object" may be of a new class; without it, the new classes are left out of
            the new model's softmax. Of sigmoids both are one.
        imprint: new classes start from the no-object head, which shares its probability with them, so that no old
            probability changes. Sigmoids have no such head, and new classes begin as the model begins them.
        mask_kd_weight: of the distillation of masks of queries; 0: none, as published for images.
        lr_mult: factor on the schedule's learning rate after step 0.

    Deviations:
        - A query takes the place of a pixel, and no-object that of the background. With a dense model that has a
          background channel pixels are pixels, as published.
        - With a dense model that has sigmoids alone, an old class is a negative only as far as the old model does not
          see it (:func:`~cvis.learners.distill.losses.unbiased_focal`), and is kept location by location
          (:func:`~cvis.learners.distill.losses.slot_mean`). That reading is ours; tables call it a variant.
        - Only the last prediction layer is distilled; the classification loss is that of all layers.
        - The backbone is frozen after step 0, as for all learners; ``protocol.freeze=none`` trains it, as published.
    """

    requires = (ClassSlots,)

    def __init__(
        self,
        segmenter: Segmenter,
        kd_weight: Weight = 10.0,
        unbiased_ce: bool = True,
        unbiased_kd: bool = True,
        imprint: bool = True,
        mask_kd_weight: Weight = 0.0,
        **teacher: Any,
    ) -> None:
        super().__init__(segmenter, **teacher)
        self.kd_weight, self.mask_kd_weight = kd_weight, mask_kd_weight
        self.unbiased_ce, self.unbiased_kd, self.imprint = unbiased_ce, unbiased_kd, imprint
        if mask_kd_weight and not isinstance(segmenter, AlignedQueries):
            what = f"learner.mask_kd_weight: {mask_kd_weight}: {type(segmenter).__name__} has no queries with masks"
            raise UserError(f"{what}; use 0")

    def new_head(self, task: Task) -> dict[str, Any]:
        return {"init": "background"} if self.imprint and self.segmenter.background == "column" else {}

    def losses(self, clip: Clip, new: Sequence[Any], old: OldView) -> dict[str, Tensor]:
        kind = self.segmenter.background
        logits, old_logits = new[-1].logits, old.layers[-1].logits
        unbiased = {
            "column": partial(unbiased_cross_entropy, num_old=len(old.classes)),
            "sigmoid": partial(unbiased_focal, old_logits=old_logits),
        }
        losses = self.segmenter.criterion(new, clip.targets, unbiased[kind] if self.unbiased_ce else None)
        if self.unbiased_kd or kind == "sigmoid":
            kept = unbiased_distillation(logits, old_logits, kind)
        else:
            kept = _plain(logits, old_logits)
        losses["loss_kd"] = self.kd_weight * slot_mean(kept, old_logits, kind)
        if self.mask_kd_weight:
            losses["loss_mask_kd"] = self.mask_kd_weight * mask_distillation(new[-1].masks, old.answer.masks)
        return losses


def _plain(logits: Tensor, old_logits: Tensor) -> Tensor:
    """Distillation as before MiB: KL(q || p), p the softmax over old classes and no-object alone; [B, Q]."""
    same = old_columns(logits, num_classes(old_logits))
    return kl(old_logits.log_softmax(-1), same.log_softmax(-1))
