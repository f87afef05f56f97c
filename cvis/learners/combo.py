"""CoMBO (Fang et al., CVPR 2025), re-implemented from its abstract: its code and details were not at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cvis.learners.distill import Distiller, OldView, feature_distance, kl, with_pseudo_labels
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Count, Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.background import class_probabilities, is_no_object, num_classes, old_columns
from cvis.segmenters.contract import AlignedQueries
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.outputs import Answers, Memory, Output, QueryOutput
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
        rank: Count = 32,
        refine_masks: bool = True,
        freeze_adapters: bool = True,
        hdhl: bool = True,
        kd_weight: Weight = 1.0,
        ikd: bool = True,
        ikd_weight: Weight = 5.0,
        pseudo_labels: bool = True,
        min_score: Weight = 0.0,
        min_overlap: Weight = 0.5,
        **teacher: Any,
    ) -> None:
        super().__init__(segmenter, **teacher)
        self.adapters, self.rank = adapters, rank
        self.refine_masks, self.freeze_adapters = refine_masks, freeze_adapters
        self.hdhl, self.kd_weight = hdhl, kd_weight
        self.ikd, self.ikd_weight = ikd, ikd_weight
        self.pseudo_labels, self.min_score, self.min_overlap = pseudo_labels, min_score, min_overlap

    def new_head(self, task: Task) -> dict[str, Any]:
        if not self.adapters:
            return {}
        for _, head in adapter_heads(self.segmenter.class_heads):
            if self.freeze_adapters:
                head.freeze_adapters()
        return {"head": AdapterHead(self.segmenter.class_heads.dim, len(task.new_classes), self.rank)}

    def decode(self, segmenter: AlignedQueries, memory: Memory) -> list[QueryOutput]:
        layers = segmenter.decode_queries(memory)
        heads = adapter_heads(segmenter.class_heads) if self.refine_masks else []
        if not heads:
            return layers
        refined = [refined_queries(heads, layer.queries, layer.logits) for layer in layers]
        return [
            replace(layer, mask_embeddings=segmenter.mask_embedding(queries))
            for layer, queries in zip(layers, refined, strict=True)
        ]

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        targets = clip.targets
        if self.pseudo_labels:
            proposals = old.proposals(clip)
            targets = with_pseudo_labels(clip, proposals, old.classes, self.min_score, self.min_overlap).targets
        classify = None
        if self.hdhl:
            halves = partial(half_learning_half_distillation, kd_weight=self.kd_weight)
            classify = [partial(halves, old_logits=layer.logits) for layer in old.layers]
        losses = self.segmenter.criterion(new, targets, classify)
        if self.ikd:
            importance = class_probabilities(old.layers[-1].logits).amax(-1)
            distances = [
                feature_distance(ours.queries, theirs.queries, importance)
                for ours, theirs in zip(new, old.layers, strict=True)
            ]
            losses["loss_ikd"] = self.ikd_weight * torch.stack(distances).mean()
        return losses

    def predict(self, video: Video) -> Tracks:
        """With masks of refined queries, as in training."""
        return self.segmenter.predict(video, self._read)

    def _read(self, memory: Memory) -> list[Answers]:
        answer = self.decode(self.segmenter, memory)[-1]
        return [Answers(class_probabilities(answer.logits[0]), answer.mask_embeddings[0])]


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
    matched = ~is_no_object(columns, logits)
    learned = -log_p.gather(-1, columns[..., None]).squeeze(-1)
    kept = old_columns(log_p, num_classes(old_logits))
    distilled = kl(old_logits.log_softmax(-1).to(log_p.dtype), kept)
    weight = torch.ones_like(distilled).masked_fill(~matched, no_object_weight)
    return (weight * torch.where(matched, learned, kd_weight * distilled)).sum() / weight.sum()


class AdapterHead(nn.Module):
    """Logits z_c = w_c . q_c + b_c of n classes, each on its own refined query q_c = q + U_c relu(D_c q).

    U starts at zero: an untrained adapter changes nothing.

    Args:
        dim: of a query.
        num_classes: n.
        rank: of D_c and U_c.
    """

    def __init__(self, dim: int, num_classes: int, rank: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(dim)  # PyTorch's for a linear layer
        self.down = nn.Parameter(torch.empty(num_classes, rank, dim).uniform_(-bound, bound))
        self.up = nn.Parameter(torch.zeros(num_classes, dim, rank))
        self.weight = nn.Parameter(torch.empty(num_classes, dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_classes).uniform_(-bound, bound))

    def refinements(self, queries: Tensor) -> Tensor:
        """q_c - q: [..., dim] -> [..., n, dim]."""
        hidden = torch.einsum("...d,crd->...cr", queries, self.down).relu()
        return torch.einsum("...cr,cdr->...cd", hidden, self.up)

    def forward(self, queries: Tensor) -> Tensor:
        """[..., dim] -> [..., n]."""
        refined = queries[..., None, :] + self.refinements(queries)
        return (refined * self.weight).sum(-1) + self.bias

    def freeze_adapters(self) -> None:
        """No more learning of D and U; w goes on."""
        self.down.requires_grad_(False)
        self.up.requires_grad_(False)


def adapter_heads(heads: ClassHeads) -> list[tuple[range, AdapterHead]]:
    """The heads with adapters, each with its columns of the logits."""
    return [(heads.columns(step), head) for step, head in enumerate(heads.steps) if isinstance(head, AdapterHead)]


def refined_queries(heads: Sequence[tuple[range, AdapterHead]], queries: Tensor, logits: Tensor) -> Tensor:
    """q + sum_c p_c U_c relu(D_c q) over all classes with adapters: a query that is of none stays as it is.

    Args:
        heads: of :func:`adapter_heads`.
        queries: [B, Q, D].
        logits: [B, Q, K+1]; p is their softmax, and no gradient leads into it.
    """
    probabilities = class_probabilities(logits.detach()).to(queries.dtype)
    refined = queries
    for columns, head in heads:  # each reads the original query, as its logits do
        share = probabilities[..., columns.start : columns.stop, None]
        refined = refined + (share * head.refinements(queries)).sum(-2)
    return refined
