"""BalConpas (Chen et al., ECCV 2024), its distillation: queries that see old objects keep their features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from cvis.data.videoset import VideoSet
from cvis.learners.distill import Distiller, OldView, feature_distance, with_pseudo_labels
from cvis.learners.registry import LEARNERS
from cvis.learners.replay_memory import ReplayMemory
from cvis.learners.settings import Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.background import Background, is_no_object, sigmoid_focal
from cvis.segmenters.contract import ClassSlots, ClipTracks
from cvis.segmenters.outputs import QueryOutput, SlotOutput
from cvis.segmenters.shared_batch import mean_of_all, most_of_all
from cvis.types import Clip, Targets


@LEARNERS.register_module(name="balconpas")
class BalConpas(Distiller):
    """Pseudo-labels, and the decoder's queries that match them stay where the old model had them, in all layers.

    Queries, locations or pixels are matched in the last layer, with all targets; those that get a track of an old class
    are kept. The loss is :func:`~cvis.learners.distill.losses.feature_distance`, the pseudo-labels are
    :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`.

    Args:
        feature_weight: of the distance of queries, mean over matched queries and channels, summed over the layers.
        features: which queries: those that the next decoder layer reads, ``before_norm`` (the paper's), or those that
            the heads read, ``after_norm``. Of dense models it is always what the class heads read.
        min_score, min_overlap: see :func:`~cvis.learners.distill.pseudo_labels.pseudo_tracks`; a track must keep more
            than ``min_overlap`` of its mask.
        tracks_per_class: of a class-balanced replay memory; 0: none. A clip that shows remembered tracks is learned
            from its annotations alone, without pseudo-labels; others of its objects are unlabelled, so a query without
            a target is not taught there that it sees nothing.
        replay_balance: the batch's other clips make up for that, so that no-object keeps its share of the loss; see
            :func:`replay_cross_entropy`.
        lr_mult: factor on the schedule's learning rate after step 0.

    Deviations:
        - Tracks of clips take the place of segments of images.
        - Without replay by default, so that it compares with methods that store nothing. The memory holds as many
          tracks of every class; the paper's follows the share of the classes.
        - ``replay_balance`` is ours.
        - The backbone is frozen after step 0, as for all learners; ``protocol.freeze=none`` trains it, as published.
        - With dense models locations or pixels take the place of queries; tables call that a variant.
    """

    requires = (ClassSlots, ClipTracks)

    def __init__(
        self,
        segmenter: Segmenter,
        feature_weight: Weight = 5.0,
        features: Literal["before_norm", "after_norm"] = "before_norm",
        min_score: Weight = 0.0,
        min_overlap: Weight = 0.8,
        tracks_per_class: Annotated[int, Field(ge=0)] = 0,
        replay_balance: bool = True,
        **teacher: Any,
    ) -> None:
        super().__init__(segmenter, **teacher)
        self.feature_weight, self.min_score, self.min_overlap = feature_weight, min_score, min_overlap
        self.features, self.replay_balance = features, replay_balance
        self.memory = ReplayMemory(tracks_per_class)
        self.replays = tracks_per_class > 0

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.memory.begin_task(task)

    def end_task(self, task: Task) -> None:
        super().end_task(task)
        self.memory.end_task(task)

    def train_data(self, task: Task) -> VideoSet:
        memory = self.memory.videos(before=task.index)
        return task.train if memory is None else task.train | memory

    def losses(self, clip: Clip, new: Sequence[SlotOutput], old: OldView) -> dict[str, Tensor]:
        replayed = [_holds_any(target, old.classes) for target in clip.targets]
        labelled = with_pseudo_labels(
            clip, old.proposals(clip), old.classes, self.min_score, self.min_overlap, area="kept"
        )
        targets = [
            annotated if again else extended
            for annotated, extended, again in zip(clip.targets, labelled.targets, replayed, strict=True)
        ]
        again = clip.sizes.new_tensor(replayed, dtype=torch.bool)
        again = again.repeat_interleave(len(new[-1].logits) // len(again))  # queries may belong to a frame
        kind = self.segmenter.background
        classify = partial(replay_cross_entropy, replayed=again, balance=self.replay_balance, background=kind)
        any_replayed = most_of_all(any(replayed))  # or processes would wait for each other in different losses
        losses = self.segmenter.criterion(new, targets, classify if any_replayed else None)
        weight = self.segmenter.matched_to(new[-1], targets, old.classes).to(new[-1].logits.dtype)
        distances = [
            feature_distance(self._features(ours), self._features(theirs), weight)
            for ours, theirs in zip(new, old.layers, strict=True)
        ]
        losses["loss_feature"] = self.feature_weight * torch.stack(distances).sum()
        return losses

    def _features(self, layer: SlotOutput) -> Tensor:
        if self.features == "before_norm" and isinstance(layer, QueryOutput):
            return layer.state
        return layer.features


def replay_cross_entropy(
    logits: Tensor,
    columns: Tensor,
    no_object_weight: float,
    replayed: Tensor,
    balance: bool = True,
    background: Background = "column",
) -> Tensor:
    """The weighted cross entropy sum w_i ce_i / sum w_i, where no-object targets of replayed clips teach nothing.

    They have no weight. With ``balance`` theirs goes to the n' no-object targets of the other clips, w n / n' in place
    of w where n are those of all clips, and the divisor is that of a batch without replay: what a matched query counts
    does not depend on how many clips are replayed. Without it the divisor shrinks, and classes gain on no-object.

    Of sigmoids (ours) it is :func:`~cvis.segmenters.background.sigmoid_focal` with these weights, whose divisor is the
    number of slots with a class.

    Args:
        logits: [B, Q, K+1], or [B, Q, K] of sigmoids.
        columns: [B, Q] int64.
        no_object_weight: w, of the other clips.
        replayed: [B] bool.
        balance: see above.
    """
    nothing = is_no_object(columns, logits, background)
    plain = torch.ones_like(nothing, dtype=logits.dtype).masked_fill(nothing, no_object_weight)
    weight = plain.masked_fill(nothing & replayed[:, None], 0.0)
    if balance:
        both = torch.stack([nothing.sum(), (nothing & ~replayed[:, None]).sum()])
        every, others = mean_of_all(both)
        weight = torch.where(nothing, weight * every / others.where(others > 0, 1), weight)
    if background == "sigmoid":
        return sigmoid_focal(logits, columns, weight=weight[..., None])
    total = mean_of_all((plain if balance else weight).sum())
    values = F.cross_entropy(logits.flatten(0, 1), columns.flatten(), reduction="none").view_as(weight)
    return (weight * values).sum() / torch.where(total > 0, total, 1)


def _holds_any(target: Targets, classes: Sequence[int]) -> bool:
    return not set(classes).isdisjoint(target.category_ids.tolist())
