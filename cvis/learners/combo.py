"""CoMBO (Fang et al., "Conflict Mitigation via Branched Optimization", CVPR 2025), from its paper, for tracks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from cvis.data.clips import ClipDataset, ClipSampling, collate
from cvis.data.videoset import VideoSet
from cvis.learners.distill import Distiller, OldView, kl, weighted_mean, with_pseudo_labels
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.background import class_probabilities, is_no_object, num_classes, old_columns
from cvis.segmenters.contract import AlignedQueries
from cvis.segmenters.outputs import Answers, Memory, Output, QueryOutput
from cvis.types import NO_OBJECT, Clip, Tracks, Video


@LEARNERS.register_module(name="combo")
class CoMBO(Distiller):
    """Query conflict reduction, half-learning half-distillation, importance-based feature distillation.

    The paper's method; its code was not at hand. After step 0 the embeddings that queries begin from are frozen, and
    so are the adapters of earlier steps.

    Args:
        rank: r of the adapters (:class:`Adapters`); 0: none.
        hdhl: see :func:`half_learning_half_distillation`; a query is matched if it has a target, annotated or
            pseudo-labelled. Without it, the segmenter's own classification loss.
        class_weight, kd_weight: of the two halves; the first is more than zero.
        ikd_weight: of :func:`importance_distillation`; 0: none.
        importance: of a query: ``matching_cost``, one number for each index, learned from the data of all steps before
            (:meth:`end_task`); ``uniform``: 1; ``confidence`` (not the paper's): in each clip, the old model's greatest
            probability of a class.
        pseudo_labels: the old model's tracks are targets.
        min_score, min_overlap: see :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`; the paper filters
            neither.
        lr_mult: factor on the schedule's learning rate after step 0.

    Deviations:
        - Where the paper is silent: W1 begins as PyTorch's linear layers do and W2 at zero, so that a step begins with
          the model before it;
        - refined queries pass the last decoder layer side by side with the original ones, inside the same masks (of the
          layer before), and each set attends to itself alone;
        - both halves of HDHL read the answer of the refined queries, of the student as of the teacher (nothing else
          would teach a refined query that it sees nothing), and all earlier prediction layers, too;
        - IKD compares the original queries after the last decoder layer, before the decoder's norm.
        - Tracks of clips take the place of segments of images.
        - The backbone is frozen after step 0, as for all learners; ``protocol.freeze=none`` trains it, as published.
    """

    label = "CoMBO (re-implementation from the paper)"
    segmenter: AlignedQueries
    query_importance: Tensor  # [Q] in [0, 1]

    def __init__(
        self,
        segmenter: Segmenter,
        rank: Annotated[int, Field(ge=0)] = 16,
        hdhl: bool = True,
        class_weight: Annotated[Weight, Field(gt=0)] = 2.0,
        kd_weight: Weight = 5.0,
        ikd_weight: Weight = 3.0,
        importance: Literal["matching_cost", "uniform", "confidence"] = "matching_cost",
        pseudo_labels: bool = True,
        min_score: Weight = 0.0,
        min_overlap: Weight = 0.0,
        lr_mult: Weight = 0.5,
    ) -> None:
        super().__init__(segmenter, lr_mult)
        self.rank, self.hdhl = rank, hdhl
        self.class_weight, self.kd_weight = class_weight, kd_weight
        self.ikd_weight, self.importance = ikd_weight, importance
        self.pseudo_labels, self.min_score, self.min_overlap = pseudo_labels, min_score, min_overlap
        self.adapters = nn.ModuleList()  # of steps 1, 2, ...

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        embeddings = self.segmenter.query_embeddings()
        if task.is_base:
            self.register_buffer("query_importance", torch.ones(len(embeddings[0])))
            return
        for learned in (*embeddings, *self.adapters.parameters()):
            learned.requires_grad_(False)
        if self.rank:
            self.adapters.append(Adapters(self.segmenter.class_heads.dim, len(task.new_classes), self.rank))

    def end_task(self, task: Task) -> None:
        """Importance of the queries for all classes so far (equation 9, algorithm 1), a mean over the classes:

        I <- (|old classes| I + |new classes| I_C) / |all classes|

        I_C looks at one clip of each video of the step, the one that seed 0 draws by the rule of training.
        """
        super().end_task(task)
        if self.ikd_weight and self.importance == "matching_cost":
            share = len(task.new_classes) / len(task.seen_classes)
            self.query_importance.lerp_(self._importance_of(task).to(self.query_importance), share)

    @torch.no_grad()
    def _importance_of(self, task: Task) -> Tensor:
        """I_C(n) = 1 - (B(n) - min B) / (max B - min B), B(n) = sum over clips of min_s A(n, s); float64 [Q].

        A(n, s) is what it costs to match query n with track s of a clip, in the segmenter's own matching: class
        probability, mask and dice. Clips without tracks do not count.
        """
        total = torch.zeros_like(self.query_importance, dtype=torch.float64)
        for clip in one_clip_each(task.train, self.sampling):
            clip = clip.to(total.device)
            memory = self.segmenter.features(clip.frames, clip.sizes)
            answer = self.segmenter.with_masks(memory, [self._answer(memory)])[0]
            total += self.segmenter.matching_costs(answer, clip.targets)[0].amin(-1)
        above = total - total.min()
        return 1 - above / above.max().clamp(min=torch.finfo(total.dtype).tiny)  # all alike: all important

    def decode(self, segmenter: AlignedQueries, memory: Memory) -> list[QueryOutput]:
        """The answer is the refined queries', which learn, but for ``state``: of the original ones, to distil."""
        if not self._adapters_of(segmenter):
            return segmenter.decode_queries(memory)

        def both(before: QueryOutput) -> Tensor:
            return torch.cat([before.state, self.refined(segmenter, before)])

        *layers, original, refined = segmenter.decode_queries(memory, refine=both)
        return [*layers, replace(refined, state=original.state)]

    def refined(self, segmenter: AlignedQueries, before: QueryOutput) -> Tensor:
        """Queries [B, Q, D] for the last layer: those that the layer before takes for an incremental class, in the
        argmax over all classes and no-object, are refined by that class's adapter, the others stay as they are."""
        best = before.logits.argmax(-1)
        refined = before.state
        for step, adapters in enumerate(self._adapters_of(segmenter), start=1):
            refined = refined + adapters(before.state, best - segmenter.class_heads.columns(step).start)
        return refined

    def _adapters_of(self, segmenter: AlignedQueries) -> nn.ModuleList:
        """The teacher has one step less, and its adapters are frozen."""
        return self.adapters[: len(segmenter.class_heads.steps) - 1]

    def losses(self, clip: Clip, new: Sequence[Output], old: OldView) -> dict[str, Tensor]:
        targets = clip.targets
        if self.pseudo_labels:
            proposals = old.proposals(clip)
            targets = with_pseudo_labels(clip, proposals, old.classes, self.min_score, self.min_overlap).targets
        if self.hdhl:
            # the criterion is told the weight of the class loss: the cost of a match may follow it (``cost_weights``)
            halves = partial(
                half_learning_half_distillation, class_weight=1.0, kd_weight=self.kd_weight / self.class_weight
            )
            of_layers = [partial(halves, old_logits=layer.logits) for layer in old.layers]
            losses = self.segmenter.criterion(new, targets, of_layers, self.class_weight)
        else:
            losses = self.segmenter.criterion(new, targets)
        if self.ikd_weight:
            importance = self.query_importance
            if self.importance == "confidence":
                importance = class_probabilities(old.layers[-1].logits).amax(-1)
            kept = importance_distillation(new[-1].state, old.layers[-1].state, importance)
            losses["loss_ikd"] = self.ikd_weight * kept
        return losses

    def predict(self, video: Video) -> Tracks:
        """Of the refined queries alone."""
        return self.segmenter.predict(video, self._read)

    def _read(self, memory: Memory) -> list[Answers]:
        answer = self._answer(memory)
        return [Answers(class_probabilities(answer.logits[0]), answer.mask_embeddings[0], answer.queries[0])]

    def _answer(self, memory: Memory) -> QueryOutput:
        return self.segmenter.decode_queries(memory, refine=partial(self.refined, self.segmenter))[-1]


class Adapters(nn.Module):
    """Refinements Q W1_c W2_c of queries of n classes (equation 2): linear, without bias.

    Args:
        dim: of a query.
        num_classes: n.
        rank: r, of W1_c [dim, r] and W2_c [r, dim].
    """

    def __init__(self, dim: int, num_classes: int, rank: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(dim)  # PyTorch's for a linear layer
        self.down = nn.Parameter(torch.empty(num_classes, dim, rank).uniform_(-bound, bound))
        self.up = nn.Parameter(torch.zeros(num_classes, rank, dim))

    def forward(self, queries: Tensor, classes: Tensor) -> Tensor:
        """What to add to queries [..., dim] that are of ``classes`` [...] int64; zero where that is none of 0..n-1."""
        own = classes[..., None] == torch.arange(len(self.down), device=classes.device)
        hidden = torch.einsum("...d,cdr->...cr", queries, self.down) * own[..., None]
        return torch.einsum("...cr,crd->...d", hidden, self.up)


def half_learning_half_distillation(
    logits: Tensor,
    columns: Tensor,
    no_object_weight: float,
    old_logits: Tensor,
    class_weight: float = 2.0,
    kd_weight: float = 5.0,
) -> Tensor:
    """Matched queries learn their target, the others keep what the old model said and see no new class.

    L = class_weight * mean over matched i of -log p_i(c_i)  +  kd_weight * mean over the others of KL(q_i || p_i)

    (equations 4 to 7) with p the softmax of the new model over all classes and no-object, q the old model's with
    probability 0 for new classes, which so are learned as negatives. A mean over no query is zero.

    Args:
        logits: [B, Q, K+1].
        columns: [B, Q] int64; K: not matched.
        no_object_weight: not used: no query is taught no-object but by the old model.
        old_logits: [B, Q, o+1] of the old model.
    """
    log_p = logits.log_softmax(-1)
    others = is_no_object(columns, logits)
    learned = -log_p.gather(-1, columns[..., None]).squeeze(-1)
    kept = kl(old_logits.log_softmax(-1).to(log_p.dtype), old_columns(log_p, num_classes(old_logits)))
    halves = weighted_mean(learned, (~others).to(log_p.dtype)), weighted_mean(kept, others.to(log_p.dtype))
    return class_weight * halves[0] + kd_weight * halves[1]


def importance_distillation(queries: Tensor, old_queries: Tensor, importance: Tensor) -> Tensor:
    """1/N sum_n I(n) ||Q_n - Q'_n||^2, a sum over channels (equation 8), mean over the clips.

    Args:
        queries, old_queries: [B, N, D].
        importance: [N] or [B, N].
    """
    return (importance * (queries - old_queries).square().sum(-1)).mean()


def one_clip_each(videos: VideoSet, sampling: ClipSampling) -> Iterator[Clip]:
    """The clip of each video that seed 0 draws, with its targets of a class, if it has one: batches of one."""
    if not len(videos):
        return
    clips = ClipDataset(videos, sampling)
    for index in range(len(clips)):
        sample = clips[index, 0]
        kept = sample.category_ids != NO_OBJECT
        if kept.any():
            yield collate([replace(sample, category_ids=sample.category_ids[kept], masks=sample.masks[kept])])
