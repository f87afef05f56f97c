"""ECLIPSE (Kim, Yu and Hwang, CVPR 2024): a frozen model learns new classes by a few prompts per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.learners.analytic import AnalyticSwitch, Candidates, Classifier, Outlines
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Count, Real, Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.background import class_probabilities, join, split
from cvis.segmenters.contract import QueryGroups
from cvis.segmenters.groups import QueryGroup
from cvis.segmenters.outputs import Answers, Memory, QueryOutput, Residual, select_layers
from cvis.types import Clip, Tracks, Video

FOREIGN = -10.0
"""The logit of a class that a group does not own."""
SCALE, ALPHA, GAMMA = 50.0, 5.0, 1.0
"""Of :func:`sigmoid_focal`."""


class Heads(NamedTuple):
    """What later steps change of what was learned by a step: how much there is of it, and what all groups share."""

    groups: int
    classes: int
    no_object: nn.Module
    classifier: Classifier | None  # of the analytic head


@LEARNERS.register_module(name="eclipse")
class Eclipse(AnalyticSwitch):
    """Each step after the first adds a group of prompts, its mask head and its class head, and trains only those.

    All that was learned before is frozen, and a group's queries see the video and each other only. So queries,
    masks and own-class logits of a group never change once it is learned. Where that ends: a group's *scores* also
    depend on no-object. With ``delta`` > 0 that is made of the other groups' classes, of which later steps bring more;
    with ``train_no_object`` its head, which all groups share, goes on learning. With ``deltas=[0]`` and
    ``train_no_object=False`` the scores are fixed too, and all that groups share is a video's list of answers; see
    ``answers``.

    Args:
        num_prompts: of each step's group.
        deltas: of the base group, the first step's group, ...; the last value holds for all further groups. See
            :func:`manipulate`.
        own_mask_head: a group has a mask head of its own, or uses the base group's.
        fine_masks: masks of new groups also read the backbone's finest map, frozen as it is: the pixel decoder's mask
            features tell apart what the base step's classes needed. Not ECLIPSE's.
        train_no_object: the shared no-object head goes on learning in every step, as in the released code.
        aux_supervision: which predictions are trained: ``first_last`` (of the prompts themselves and of the last
            decoder layer, as in the released code) or ``all``.
        classification: ``softmax_ce``, or ``sigmoid_focal``: ECLIPSE's own, which trains step 0 in its own way too.
            Scores follow the loss: the softmax over the group's classes and no-object, or the sigmoid of those
            classes of which a query holds that they are likelier than no-object.
        class_weight: of the classification loss after step 0; None: the segmenter's.
        lr_mult: factor on the schedule's learning rate after step 0; a few prompts bear a higher one than a model.
        answers: whose list of the best ``top_k`` tracks it is: the ``video``'s, for which all groups compete (as in
            the released code; the only way in which fixed scores still forget), or one for each ``group``.
        other_classes: what the softmax of a group's scores makes of the other groups' classes: they are ``left_out``,
            or stay ``at_minus_10`` as in the released code. There each of them takes e^-10, so that a score falls with
            the number of classes (a logit of -5 beside no-object at -5.66 and 39 others: 0.56, not 0.66), and can be
            an answer of its own, if a weak one. Of no effect on the sigmoids of ``sigmoid_focal``.
        outlines: draw masks to where colours change, see :class:`~cvis.learners.analytic.Outlines`. Not ECLIPSE's.
        analytic: :class:`~cvis.learners.analytic.AnalyticSwitch`'s. Not ECLIPSE's. The pixel decoder is frozen too, so
            the head reads its maps.

    Deviations:
        - Tracks of clips take the place of segments of images.
        - The classification loss is the softmax cross entropy of all methods here, so that step 0 is shared;
          ``classification=sigmoid_focal`` is the published one.
        - ``other_classes=left_out`` keeps new classes from taking probability of old ones; the released code has
          ``at_minus_10``.
        - Numbers of prompts and deltas are those with which CRISP's released code runs ECLIPSE on videos.
    """

    requires = (QueryGroups,)
    static_graph = True
    one_pass: ClassVar[bool] = True
    segmenter: QueryGroups

    def __init__(
        self,
        segmenter: Segmenter,
        num_prompts: Count = 10,
        deltas: Annotated[Sequence[Real], Field(min_length=1)] = (0.5, 0.6),
        own_mask_head: bool = True,
        fine_masks: bool = False,
        train_no_object: bool = True,
        aux_supervision: Literal["all", "first_last"] = "first_last",
        classification: Literal["softmax_ce", "sigmoid_focal"] = "softmax_ce",
        class_weight: Weight | None = None,
        lr_mult: Weight = 1.0,
        answers: Literal["video", "group"] = "video",
        other_classes: Literal["left_out", "at_minus_10"] = "left_out",
        outlines: bool = False,
        **analytic: Any,
    ) -> None:
        super().__init__(segmenter, **analytic)
        self.num_prompts, self.deltas = num_prompts, tuple(deltas)
        if fine_masks and not own_mask_head:
            raise UserError("learner.fine_masks: true: needs mask heads of the groups; set learner.own_mask_head=true")
        self.new_group = dict(own_mask_head=own_mask_head, fine_masks=fine_masks)
        self.train_no_object = train_no_object
        self.aux_supervision, self.classification = aux_supervision, classification
        self.class_weight, self.lr_mult = class_weight, lr_mult
        self.answers, self.other_classes = answers, other_classes
        self.outlines = Outlines() if outlines else None
        if self.outlines is not None:
            self.segmenter.draw = self.outlines.forward
            self.label = f"{self.label} and outlines" if self.label else f"{type(self).__name__} with outlines"
        self.own_step0 = self.own_step0 or classification == "sigmoid_focal"  # another step-0 model than everybody's

    def _channels(self, segmenter: Segmenter) -> Sequence[int]:
        return self.segmenter.map_channels()

    def begin_task(self, task: Task) -> None:
        """Freeze everything, then grow by the step's group and class head, initialised; once, before training."""
        if self.analytic is not None:
            self.analytic.grow(len(task.new_classes))
        if self.outlines is not None and not task.is_base:
            self.outlines.grow()
        if task.is_base:
            self.segmenter.add_classes(task.new_classes)
            return
        self.segmenter.freeze_backbone()
        self.requires_grad_(False)
        self.segmenter.features_frozen = True
        self.segmenter.add_classes(task.new_classes, init="no_object")
        group = self.segmenter.add_query_group(self.num_prompts, task.index, **self.new_group)
        self._initialise(group, task)
        self.segmenter.class_heads.no_object.requires_grad_(self.train_no_object)

    def end_task(self, task: Task) -> None:
        super().end_task(task)
        if self.outlines is not None:
            self.outlines.learn(task, self.segmenter)

    def train(self, mode: bool = True) -> Eclipse:
        """As any module's, but a frozen segmenter stays in eval mode."""
        super().train(mode)
        if len(self.segmenter.groups) > 1:
            self.segmenter.eval()
        return self

    def param_groups(self) -> list[dict[str, Any]]:
        groups = super().param_groups()
        return groups if len(self.segmenter.groups) == 1 else [{**g, "lr_mult": self.lr_mult} for g in groups]

    def loss(self, clip: Clip) -> dict[str, Tensor]:
        """Losses of the newest group, which is decoded alone; the targets are the step's own classes."""
        classify = sigmoid_focal if self.classification == "sigmoid_focal" else None
        newest = len(self.segmenter.groups) - 1
        if newest == 0:
            memory = self.segmenter.features(clip.frames, clip.sizes)
            layers = self.segmenter.decode_queries(memory)
            outputs = self.segmenter.with_masks(memory, layers)
            losses = self.segmenter.criterion(outputs, clip.targets, classify)
        else:
            with torch.no_grad():
                memory = self.segmenter.features(clip.frames, clip.sizes)
            layers = self.segmenter.decode_queries(memory, newest, self._residual())
            outputs = self.segmenter.with_masks(memory, select_layers(layers, self.aux_supervision))
            losses = self.segmenter.criterion(outputs, clip.targets, classify, self.class_weight)
        return {**losses, **self._extra_losses([layer.state for layer in layers])}

    def predict(self, video: Video) -> Tracks:
        """The best answers of all groups."""
        return self.predict_steps(video, [self.heads()])[0]

    def heads(self) -> Heads:
        classifier = None if self.analytic is None else self.analytic.classifier
        heads = self.segmenter.class_heads
        return Heads(len(self.segmenter.groups), len(self.segmenter.classes), heads.no_object, classifier)

    def predict_steps(self, video: Video, heads: Sequence[Heads]) -> list[Tracks]:
        """The video's features, and the queries of each group, are the same for all steps, and made once."""
        lists = iter(self.segmenter.predict_each(video, lambda memory: self._read(memory, heads)))
        return [Tracks.joined(video.id, list(islice(lists, self._num_answers(one)))) for one in heads]

    def _num_answers(self, heads: Heads) -> int:
        return 1 if self.answers == "video" else heads.groups

    def _read(self, memory: Memory, heads: Sequence[Heads]) -> list[Answers]:
        """The answers of each step, those of the next step behind them."""
        outputs = self.segmenter.decode_groups(memory)
        candidates: list[Candidates] = []
        if self.analytic is not None:
            masks = [self.segmenter.with_masks(memory, [output])[0].masks[0] for output in outputs]
            candidates = [self.analytic.candidates(memory, one) for one in masks]
        return [
            answer
            for one in heads
            for answer in self._answer(
                [_as_of(output, one) for output in outputs[: one.groups]], candidates[: one.groups], one
            )
        ]

    def _answer(self, outputs: Sequence[QueryOutput], candidates: Sequence[Candidates], heads: Heads) -> list[Answers]:
        """The answers of a step.

        Args:
            outputs: of its groups, with the logits of its classes.
            candidates: of each group, its queries as tracks; none without the analytic head.
        """
        scores = [self.scores(output.logits[0], group, len(outputs)) for group, output in enumerate(outputs)]
        if self.analytic is not None and heads.classifier is not None:
            named = self.analytic.probabilities(candidates, heads.classifier)
            of_groups = named.split([len(rows) for rows in scores])
            scores = [rows * names.to(rows) for rows, names in zip(scores, of_groups, strict=True)]
        if self.answers == "video":
            return [self._together(torch.cat(scores), outputs)]
        return [
            self._together(rows, [output], index)
            for index, (rows, output) in enumerate(zip(scores, outputs, strict=True))
        ]

    @staticmethod
    def _together(scores: Tensor, outputs: Sequence[QueryOutput], first: int = 0) -> Answers:
        """The answer of several groups, from a ``first`` one on."""
        embeddings, queries = ([getattr(o, name)[0] for o in outputs] for name in ("mask_embeddings", "queries"))
        read = max(each.shape[1] for each in embeddings)
        embeddings = [F.pad(each, (0, read - each.shape[1])) for each in embeddings]
        return Answers(scores, torch.cat(embeddings), torch.cat(queries), (0,) * first + tuple(map(len, queries)))

    def scores(self, logits: Tensor, group: int, groups: int) -> Tensor:
        """Scores [N, K] of the logits [N, K+1] of one of so many groups; -inf for the classes it does not own, if they
        are left out."""
        columns = list(self.segmenter.class_heads.columns(self.segmenter.group(group).step))
        delta = self.deltas[min(group, len(self.deltas) - 1)]
        if groups > 1:
            logits = manipulate(logits, columns, delta)
        if self.classification == "softmax_ce" and self.other_classes == "at_minus_10":
            return class_probabilities(logits)
        every, no_object = split(logits)
        classes = every[:, columns]
        if self.classification == "softmax_ce":  # without the others' e^-10: new classes take nothing from old ones
            of_own, _ = split(join(classes, no_object).softmax(-1))
        else:
            of_own = classes.sigmoid().where(classes > no_object, -torch.inf)
        scores = torch.full_like(every, -torch.inf, dtype=of_own.dtype)
        scores[:, columns] = of_own
        return scores

    @torch.no_grad()
    def _initialise(self, group: QueryGroup, task: Task) -> None:
        """Mean and copy: prompts and positions from the mean of the base group's, the mask head a copy of its.

        (The step's class head is a copy of the no-object head from the start.)
        """
        base = self.segmenter.group(0)
        group.queries.copy_(base.queries.mean(0).expand_as(group.queries))
        group.positions.copy_(base.positions.mean(1, keepdim=True).expand_as(group.positions))
        if group.mask_head is not None and base.mask_head is not None:
            for own, copied in zip(group.mask_head.parameters(), base.mask_head.parameters(), strict=True):
                own.zero_()[: len(copied)] = copied  # fine masks begin as the others

    def _residual(self) -> Residual | None:
        """Added to the values of self-attention in training; CRISP's."""
        return None

    def _extra_losses(self, layers: Sequence[Tensor]) -> dict[str, Tensor]:
        """Further losses of the newest group's states [B, N, D] before the first decoder layer and after each."""
        return {}


def _as_of(output: QueryOutput, heads: Heads) -> QueryOutput:
    """A group's answer with the classes of a step, and with no-object as the step left it."""
    classes, no_object = split(output.logits)
    with torch.autocast(no_object.device.type, enabled=False):
        no_object = heads.no_object(output.queries.to(no_object.dtype))
    return replace(output, logits=join(classes[..., : heads.classes], no_object))


def sigmoid_focal(logits: Tensor, columns: Tensor, no_object_weight: float = 1.0) -> Tensor:
    """50 * mean over clips, queries and columns of alpha * BCE * (1 - p_t)^gamma, with alpha = 5, gamma = 1.

    p_t is the probability of the right answer: sigmoid(z) in the target's column, 1 - sigmoid(z) in the others.

    Args:
        logits: [B, Q, K+1].
        columns: [B, Q] int64.
        no_object_weight: not used: the focal factor takes the place of class weights.
    """
    wanted = F.one_hot(columns, logits.shape[-1]).to(logits.dtype)
    bce = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    right = (-bce).exp()  # BCE = -log p_t
    return SCALE * (ALPHA * bce * (1 - right) ** GAMMA).mean()


def manipulate(logits: Tensor, own: Sequence[int], delta: float) -> Tensor:
    """Let the other groups' classes speak for no-object, then silence them.

    With O the group's own columns, z the logits and ``limit(p)`` the clamp of p to [0.001, 0.999]:

    - delta > 0: z_no-object = logit(limit(delta * s)), s the sum over all classes outside O of sigmoid(z), at most 1;
    - delta < 0: z_no-object = logit(limit(-delta * sigmoid(z_no-object)));
    - delta = 0: z_no-object stays;

    and z_c = -10 for every class c outside O.

    Args:
        logits: [..., K+1].
        own: columns of the group's classes.
        delta: the group's.

    Returns:
        [..., K+1], at least single precision.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    classes, no_object = split(logits)
    foreign = torch.ones(classes.shape[-1], dtype=torch.bool, device=logits.device)
    foreign[list(own)] = False
    if delta > 0:
        others = (classes.sigmoid() * foreign).sum(-1, keepdim=True).clamp(0, 1)
        no_object = (delta * others).clamp(0.001, 0.999).logit()
    elif delta < 0:
        no_object = (-delta * no_object.sigmoid()).clamp(0.001, 0.999).logit()
    return join(classes.masked_fill(foreign, FOREIGN), no_object)
