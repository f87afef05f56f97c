"""ECLIPSE (Kim, Yu and Hwang, CVPR 2024): a frozen model learns new classes by a few prompts per step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cvis.errors import UserError
from cvis.learners.base import Learner
from cvis.learners.prompts.focal import sigmoid_focal
from cvis.learners.prompts.logits import manipulate
from cvis.learners.registry import LEARNERS
from cvis.scenario import Task
from cvis.segmenters import QueryGroup, Segmenter
from cvis.segmenters.base import PREDICTION_LAYERS, QueryOutput, select_layers
from cvis.types import Clip, Tracks, Video

CLASSIFICATIONS = ("softmax_ce", "sigmoid_focal")
ANSWERS = ("video", "group")


@LEARNERS.register_module(name="eclipse")
class Eclipse(Learner):
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
            :func:`~cvis.learners.prompts.logits.manipulate`.
        own_mask_head: a group has a mask head of its own, or uses the base group's.
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
    """

    requires = frozenset({"query_groups", "no_object"})

    def __init__(
        self,
        segmenter: Segmenter,
        num_prompts: int = 10,
        deltas: Sequence[float] = (0.5, 0.6),
        own_mask_head: bool = True,
        train_no_object: bool = True,
        aux_supervision: str = "first_last",
        classification: str = "softmax_ce",
        class_weight: float | None = None,
        lr_mult: float = 1.0,
        answers: str = "video",
    ) -> None:
        super().__init__(segmenter)
        self.num_prompts = _count("num_prompts", num_prompts)
        self.deltas = _numbers("deltas", deltas)
        self.own_mask_head = own_mask_head
        self.train_no_object = train_no_object
        self.aux_supervision = _choice("aux_supervision", aux_supervision, PREDICTION_LAYERS[:2])
        self.classification = _choice("classification", classification, CLASSIFICATIONS)
        self.class_weight = class_weight if class_weight is None else _weight("class_weight", class_weight)
        self.lr_mult = _weight("lr_mult", lr_mult)
        self.answers = _choice("answers", answers, ANSWERS)
        self.own_step0 = classification == "sigmoid_focal"  # its step-0 model is another than everybody's

    def begin_task(self, task: Task) -> None:
        """Freeze everything, then grow by the step's group and class head, initialised; once, before training."""
        if task.is_base:
            self.segmenter.add_classes(task.new_classes)
            return
        self.segmenter.freeze_backbone()
        self.requires_grad_(False)
        self.segmenter.add_classes(task.new_classes, init="no_object")
        group = self.segmenter.add_query_group(self.num_prompts, task.index, self.own_mask_head)
        self._initialise(group, task)
        self.segmenter.class_heads.no_object.requires_grad_(self.train_no_object)

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
            layers: Sequence[QueryOutput] = (outputs := self.segmenter(clip))
            losses = self.segmenter.criterion(outputs, clip.targets, classify)
        else:
            with torch.no_grad():
                memory = self.segmenter.features(clip.frames, clip.sizes)
            layers = self.segmenter.decode_queries(memory, newest, "all", self._prompt())
            outputs = self.segmenter.with_masks(memory, select_layers(layers, self.aux_supervision))
            losses = self.segmenter.criterion(outputs, clip.targets, classify, self.class_weight)
        return {**losses, **self._extra_losses([layer.state for layer in layers])}

    def predict(self, video: Video) -> Tracks:
        """The best answers of all groups; before there is a second group, those of plain training."""
        if len(self.segmenter.groups) == 1 and self.classification == "softmax_ce":
            return self.segmenter.predict(video)
        with torch.inference_mode():
            memory = self.segmenter.video_features(video)
            found = self.segmenter.decode_groups(memory)
            scores = [self.scores(answer.logits[0], group) for group, answer in enumerate(found)]
            embeddings = [answer.mask_embeddings[0] for answer in found]
            if self.answers == "video":
                return self.segmenter.tracks(video, memory, torch.cat(scores), torch.cat(embeddings))
            lists = [self.segmenter.tracks(video, memory, *own) for own in zip(scores, embeddings, strict=True)]
            return _together(video, lists)

    def scores(self, logits: Tensor, group: int) -> Tensor:
        """Scores [N, K] of a group's logits [N, K+1]; -inf for the classes it does not own."""
        own = list(self.segmenter.class_heads.columns(self.segmenter.group(group).step))
        delta = self.deltas[min(group, len(self.deltas) - 1)]
        if len(self.segmenter.groups) > 1:
            logits = manipulate(logits, own, delta)
        classes, no_object = logits[:, own], logits[:, -1:]
        if self.classification == "softmax_ce":  # without the others' e^-10: new classes take nothing from old ones
            found = torch.cat([classes, no_object], dim=1).softmax(-1)[:, :-1]
        else:
            found = classes.sigmoid().where(classes > no_object, -torch.inf)
        scores = found.new_full((len(logits), logits.shape[1] - 1), -torch.inf)
        scores[:, own] = found
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
            group.mask_head.load_state_dict(base.mask_head.state_dict())

    def _prompt(self) -> Tensor | None:
        """[N, D], added to the values of self-attention in training; CRISP's."""
        return None

    def _extra_losses(self, layers: Sequence[Tensor]) -> dict[str, Tensor]:
        """Further losses of the newest group's states [B, N, D] before the first decoder layer and after each."""
        return {}


def _together(video: Video, lists: Sequence[Tracks]) -> Tracks:
    """The tracks of several lists, one after the other."""
    return Tracks(
        video.id,
        tuple(category for own in lists for category in own.category_ids),
        tuple(score for own in lists for score in own.scores),
        tuple(masks for own in lists for masks in own.segmentations),
    )


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"learner.{name}: {value!r}: must be a whole number of at least 1")
    return value


def _weight(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise UserError(f"learner.{name}: {value!r}: must be a number of at least 0")
    return float(value)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    listed = list(values) if isinstance(values, (list, tuple)) else []
    if not listed or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in listed):
        raise UserError(f"learner.{name}: {values!r}: must be a list of at least one number, such as [0.5, 0.6]")
    return tuple(float(value) for value in listed)


def _choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise UserError(f"learner.{name}: {value!r}: unknown; use one of {', '.join(choices)}")
    return value
