"""CoMBO (Fang et al., CVPR 2025), re-implemented from its abstract: its code and details were not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from cvis.errors import UserError
from cvis.learners.distill import Distiller, OldView, feature_distance, with_pseudo_labels
from cvis.learners.distill.adapters import AdapterHead, adapter_heads, refined_queries
from cvis.learners.distill.learner import at_least_zero, switch
from cvis.learners.distill.losses import kl
from cvis.learners.registry import LEARNERS
from cvis.scenario import Task
from cvis.segmenters import Memory, Output, Segmenter
from cvis.segmenters.base import QueryOutput
from cvis.types import Clip, Tracks, Video


@LEARNERS.register_module(name="combo")
class CoMBO(Distiller):
    """Query conflict reduction, half-learning half-distillation, importance-based feature distillation.

    The paper's three ideas are as its abstract has them; how each is carried out is our reconstruction, so every part
    has a switch and every table says ``CoMBO (re-implementation)``. One deviation is deliberate: classes are told apart
    by the softmax, as in the step-0 model that all methods share.

    Args:
        adapters: query conflict reduction: new classes read queries that adapters of their own have refined, and the
            original ones are left for distillation. Without it, new classes have plain heads.
        rank: of the adapters.
        refine_masks: masks too come from the refined queries, weighted by the classes' probabilities.
        freeze_adapters: the adapters of a step learn in that step only.
        hdhl: half learning, half distillation, of class probabilities: see :func:`half_learning_half_distillation`.
            A query is matched if it has a target, annotated or pseudo-labelled. Without it, plain cross entropy.
        kd_weight: with ``hdhl``, of its distilling half; 1: the old model's answer takes the place of the no-object
            target, at its weight.
        ikd: importance-based distillation of query features; a query's importance is the old model's greatest
            probability of an old class, in its last layer.
        ikd_weight: of it, mean over channels and over all layers.
        pseudo_labels: the old model's tracks are targets, as in CoMFormer.
        min_score, min_overlap: see :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`.
        lr_mult: factor on the schedule's learning rate after step 0.
    """

    label = "CoMBO (re-implementation)"

    def __init__(
        self,
        segmenter: Segmenter,
        adapters: bool = True,
        rank: int = 32,
        refine_masks: bool = True,
        freeze_adapters: bool = True,
        hdhl: bool = True,
        kd_weight: float = 1.0,
        ikd: bool = True,
        ikd_weight: float = 5.0,
        pseudo_labels: bool = True,
        min_score: float = 0.0,
        min_overlap: float = 0.5,
        lr_mult: float = 1.0,
    ) -> None:
        super().__init__(segmenter, lr_mult)
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise UserError(f"learner.rank: {rank!r}: must be a whole number of at least 1")
        self.adapters, self.rank = switch("adapters", adapters), rank
        self.refine_masks = switch("refine_masks", refine_masks)
        self.freeze_adapters = switch("freeze_adapters", freeze_adapters)
        self.hdhl, self.kd_weight = switch("hdhl", hdhl), at_least_zero("kd_weight", kd_weight)
        self.ikd, self.ikd_weight = switch("ikd", ikd), at_least_zero("ikd_weight", ikd_weight)
        self.pseudo_labels = switch("pseudo_labels", pseudo_labels)
        self.min_score = at_least_zero("min_score", min_score)
        self.min_overlap = at_least_zero("min_overlap", min_overlap)

    def begin_task(self, task: Task) -> None:
        if task.is_base or not self.adapters:
            super().begin_task(task)
            return
        for _, head in adapter_heads(self.segmenter.class_heads):
            if self.freeze_adapters:
                head.freeze_adapters()
        own = AdapterHead(self.segmenter.class_heads.dim, len(task.new_classes), self.rank)
        self.grow(task, head=own)

    def decode(self, segmenter: Segmenter, memory: Memory) -> list[QueryOutput]:
        layers = segmenter.decode_queries(memory)
        heads = adapter_heads(segmenter.class_heads) if self.refine_masks else []
        mask_head = segmenter.group(0).mask_head
        if not heads or mask_head is None:
            return layers
        refined = (refined_queries(heads, layer.queries, layer.logits) for layer in layers)
        return [replace(layer, mask_embeddings=mask_head(own)) for layer, own in zip(layers, refined, strict=True)]

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        targets = clip.targets
        if self.pseudo_labels:
            targets = with_pseudo_labels(clip, old, self.min_score, self.min_overlap).targets
        classify = None
        if self.hdhl:
            halves = partial(half_learning_half_distillation, kd_weight=self.kd_weight)
            classify = [partial(halves, old_logits=layer.logits) for layer in old.layers]
        losses = self.segmenter.criterion(new, targets, classify)
        if self.ikd:
            importance = old.layers[-1].logits.softmax(-1)[..., :-1].amax(-1)
            distances = [
                feature_distance(ours.queries, theirs.queries, importance)
                for ours, theirs in zip(new, old.layers, strict=True)
            ]
            losses["loss_ikd"] = self.ikd_weight * torch.stack(distances).mean()
        return losses

    def predict(self, video: Video) -> Tracks:
        """With masks of refined queries, as in training."""
        with torch.inference_mode():
            memory = self.segmenter.video_features(video)
            answer = self.decode(self.segmenter, memory)[-1]
            return self.segmenter.tracks(video, memory, answer.logits[0].softmax(-1)[:, :-1], answer.mask_embeddings[0])


def half_learning_half_distillation(
    logits: Tensor, columns: Tensor, no_object_weight: float, old_logits: Tensor, kd_weight: float = 1.0
) -> Tensor:
    """Matched queries learn their target, the others keep what the old model said and see no new class.

    L = (sum over matched i of -log p_i(c_i)  +  w kd_weight * sum over the others of KL(q_i || p_i))
        / (number of matched + w * number of others)

    with w the weight of no-object, p the softmax of the new model over all classes, q the old model's with probability
    0 for new classes, which so are learned as negatives. Where q is sure of no-object, this is the cross entropy.

    Args:
        logits: [B, Q, K+1].
        columns: [B, Q] int64; K: not matched.
        old_logits: [B, Q, o+1] of the old model.
    """
    log_p = logits.log_softmax(-1)
    matched = columns < logits.shape[-1] - 1
    learned = -log_p.gather(-1, columns[..., None]).squeeze(-1)
    kept = [*range(old_logits.shape[-1] - 1), logits.shape[-1] - 1]
    distilled = kl(old_logits.log_softmax(-1).to(log_p.dtype), log_p[..., kept])
    weight = torch.ones_like(distilled).masked_fill(~matched, no_object_weight)
    return (weight * torch.where(matched, learned, kd_weight * distilled)).sum() / weight.sum()
