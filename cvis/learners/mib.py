"""MiB (Cermelli et al., "Modeling the Background", CVPR 2020), for queries instead of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from cvis.learners.distill import (
    Distiller,
    OldView,
    mask_distillation,
    unbiased_cross_entropy,
    unbiased_distillation,
)
from cvis.learners.distill.learner import at_least_zero, switch
from cvis.learners.distill.losses import kl
from cvis.learners.registry import LEARNERS
from cvis.segmenters import Output, Segmenter
from cvis.types import Clip


@LEARNERS.register_module(name="mib")
class MiB(Distiller):
    """Unbiased cross entropy and unbiased distillation: "no object" may hide old classes, and hid the new ones.

    Args:
        kd_weight: of the distillation of class probabilities, last layer, mean over queries. Published values for
            mask classification reach from 1 to 200.
        unbiased_ce: an unmatched query may be of an old class; without it, it must be no-object.
        unbiased_kd: the old model's "no object" may be of a new class; without it, the new classes are left out of
            the new model's softmax.
        imprint: new classes start from the no-object head, which shares its probability with them, so that no old
            probability changes.
        mask_kd_weight: of the distillation of masks; 0: none, as published for images.
        lr_mult: factor on the schedule's learning rate after step 0.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        kd_weight: float = 10.0,
        unbiased_ce: bool = True,
        unbiased_kd: bool = True,
        imprint: bool = True,
        mask_kd_weight: float = 0.0,
        lr_mult: float = 1.0,
    ) -> None:
        super().__init__(segmenter, lr_mult)
        self.kd_weight = at_least_zero("kd_weight", kd_weight)
        self.mask_kd_weight = at_least_zero("mask_kd_weight", mask_kd_weight)
        self.unbiased_ce = switch("unbiased_ce", unbiased_ce)
        self.unbiased_kd = switch("unbiased_kd", unbiased_kd)
        self.head_init = "background" if switch("imprint", imprint) else "default"

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        classify = partial(unbiased_cross_entropy, num_old=len(old.classes)) if self.unbiased_ce else None
        losses = self.segmenter.criterion(new, clip.targets, classify)
        logits, old_logits = new[-1].logits, old.layers[-1].logits
        kept = unbiased_distillation(logits, old_logits) if self.unbiased_kd else _plain(logits, old_logits)
        losses["loss_kd"] = self.kd_weight * kept.mean()
        if self.mask_kd_weight:
            losses["loss_mask_kd"] = self.mask_kd_weight * mask_distillation(new[-1].masks, old.answer.masks)
        return losses


def _plain(logits: Tensor, old_logits: Tensor) -> Tensor:
    """Distillation as before MiB: KL(q || p), p the softmax over old classes and no-object alone; [B, Q]."""
    columns = [*range(old_logits.shape[-1] - 1), logits.shape[-1] - 1]
    return kl(old_logits.log_softmax(-1), logits[..., columns].log_softmax(-1))
