"""CoMFormer (Cermelli et al., CVPR 2023): adaptive distillation and mask pseudo-labels, for tracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from cvis.errors import UserError
from cvis.learners.distill import (
    Distiller,
    OldView,
    adaptive_mean,
    slot_mean,
    softmax_focal,
    unbiased_distillation,
    with_pseudo_labels,
)
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Weight
from cvis.segmenters import Segmenter
from cvis.segmenters.contract import AlignedQueries, ClassSlots, ClipTracks
from cvis.segmenters.outputs import Maps, SlotOutput
from cvis.types import Clip, Targets

PUBLISHED = dict(
    kd_weight=10.0,
    adaptive=True,
    pseudo_labels=True,
    min_score=0.0,
    min_overlap=0.5,
    focal=True,
    soft_masks=True,
    lr_mult=0.5,
)
"""What a row must have to be called so; the preset ``comformer_paper`` sets it."""


@LEARNERS.register_module(name="comformer")
class CoMFormer(Distiller):
    """Unbiased distillation weighted by how sure the old model is of an object, and its tracks as pseudo-labels.

    The defaults are a variant that starts from the step-0 model of all methods. ``focal`` and ``soft_masks`` train
    another from the start: with either the method trains a step 0 of its own. Tables say which one a row is.

    The losses: :func:`~cvis.learners.distill.losses.unbiased_distillation` with the weights of
    :func:`~cvis.learners.distill.losses.adaptive_mean`, :func:`~cvis.learners.distill.losses.softmax_focal`, and the
    targets of :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`.

    Args:
        kd_weight: of the distillation; the released image configurations have 10 for many steps.
        adaptive: weight queries by (1 - q(no-object))^2; without it, their plain mean.
        pseudo_labels: the old model's tracks are targets.
        min_score, min_overlap: see :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`.
        focal: softmax focal loss (alpha 5, gamma 1) in place of the weighted cross entropy, in all steps.
        soft_masks: queries share the pixels, see :class:`~cvis.segmenters.contract.AlignedQueries`, in all steps; the
            BCE of masks is -t log p alone, and matching maximises 2 p d / (p + d). Only where there are queries.
        lr_mult: factor on the schedule's learning rate after step 0.

    Deviations:
        - Tracks of clips take the place of segments of images.
        - Focal loss, soft masks and the halved learning rate are off unless asked for: the preset ``comformer_paper``
          sets what was published.
        - With soft masks, mask logits are interpolated before the softmax over the queries, everywhere; points are
          drawn where the logit is near zero, as without them.
        - The backbone is frozen after step 0, as for all learners; ``protocol.freeze=none`` trains it, as published.
        - With dense models locations or pixels take the place of queries; of sigmoids the greatest says how sure the
          old model is, and ``focal`` is refused: they have a focal loss of their own. Tables call that a variant.
    """

    requires = (ClassSlots, ClipTracks)

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
        self.soft_masks = soft_masks
        if isinstance(segmenter, AlignedQueries):
            segmenter.soft_masks = soft_masks
        elif soft_masks:
            what = f"learner.soft_masks: True: {type(segmenter).__name__} has no queries that could share pixels"
            raise UserError(f"{what}; leave it out")
        if focal and self.segmenter.background == "sigmoid":
            what = f"learner.focal: True: is of softmaxes; the sigmoids of {type(segmenter).__name__} have their own"
            raise UserError(f"{what}; leave it out")
        self.own_step0 = focal or soft_masks
        published = all(getattr(self, name) == value for name, value in PUBLISHED.items())
        self.label = f"CoMFormer ({'as published' if published else 'variant'})"

    def losses(self, clip: Clip, new: Sequence[SlotOutput], old: OldView) -> dict[str, Tensor]:
        targets = clip.targets
        if self.pseudo_labels:
            proposals = old.proposals(clip)
            targets = with_pseudo_labels(clip, proposals, old.classes, self.min_score, self.min_overlap).targets
        losses = self._criterion(new, targets)
        old_logits, kind = old.layers[-1].logits, self.segmenter.background
        kept = unbiased_distillation(new[-1].logits, old_logits, kind)
        if self.adaptive:
            mean = adaptive_mean(kept, old_logits, self.segmenter.per_track, kind)
        else:
            mean = slot_mean(kept, old_logits, kind)
        losses["loss_kd"] = self.kd_weight * mean
        return losses

    def base_loss(self, clip: Clip, maps: Maps | None) -> dict[str, Tensor]:
        return self._criterion(self.new_view(maps), clip.targets)

    def _criterion(self, new: Sequence[SlotOutput], targets: Sequence[Targets]) -> dict[str, Tensor]:
        return self.segmenter.criterion(new, targets, softmax_focal if self.focal else None)
