"""ANCHOR, a method of our own: isolated prompts find objects, a classifier that cannot forget names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from cvis.learners.analytic import Candidates
from cvis.learners.crisp import Crisp
from cvis.learners.crisp_parts.semantic import Codebook
from cvis.learners.eclipse import Heads
from cvis.learners.joint import AllAtOnce
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Weight
from cvis.segmenters import Segmenter
from cvis.segmenters.outputs import Answers, QueryOutput


@LEARNERS.register_module(name="anchor")
class Anchor(Crisp):
    """ANalytic Class Hypotheses by Order-invariant Regression: prompts per step, and one analytic head for all steps.

    Training is CRISP's without semantic prompts: each step adds a group of prompts, from principal directions of the
    older queries, with a mask head that also reads the backbone's finest map, and trains nothing else. After it the
    analytic head takes the moments of the step's classes, see :class:`~cvis.learners.analytic.AnalyticHead`, and it is
    fitted where the group's masks end in their frames. No video is stored. At test all groups work together:

        score(q, c) = p_q(c) * m_q^mask_power * (s_q(c)^own_power if c is of q's group,
                                                 else foreign * max_c' s_q(c')^own_power)

    with s the probabilities that q's group gives its own classes, p the analytic head's and m the mean probability
    inside q's mask. So a query may find an object of another step's class, if a weaker hypothesis. Of two tracks that
    are one object, each class keeps the better, see :func:`without_duplicates`.

    Args:
        crisp: the settings of :class:`~cvis.learners.crisp.Crisp`.
        foreign: what a query's best own score is worth for the classes of other groups; 0: nothing.
        own_power: below 1, what a group thinks of its own classes counts less than what the head does.
        mask_power: 0: how sure a query is of its mask does not count.
        same_object: the IoU above which two tracks are one object; 1: none are.
        outlines: draw masks to where colours change, see :class:`~cvis.learners.analytic.Outlines`.
        codebook: CRISP's; ``none``: no semantic prompts, so no text encoder.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        foreign: Annotated[Weight, Field(le=1)] = 0.9,
        own_power: Weight = 0.5,
        mask_power: Weight = 6.0,
        same_object: Annotated[Weight, Field(le=1)] = 0.6,
        outlines: bool = True,
        codebook: Codebook = "none",
        analytic_head: Literal[True] = True,
        fine_masks: bool = True,
        lr_mult: Weight = 4.0,
        **crisp: Any,
    ) -> None:
        super().__init__(
            segmenter,
            outlines=outlines,
            codebook=codebook,
            analytic_head=analytic_head,
            fine_masks=fine_masks,
            lr_mult=lr_mult,
            **crisp,
        )
        self.label = "ANCHOR" if outlines else "ANCHOR without outlines"
        self.foreign, self.own_power = foreign, own_power
        self.mask_power, self.same_object = mask_power, same_object

    def _answer(self, outputs: Sequence[QueryOutput], candidates: Sequence[Candidates], heads: Heads) -> list[Answers]:
        assert self.analytic is not None  # see __init__
        assert heads.classifier is not None
        groups = len(outputs)
        own = torch.cat([self.scores(output.logits[0], group, groups) for group, output in enumerate(outputs)])
        every = torch.cat([one.masks for one in candidates])
        sure = (mask_confidence(every)[:, None] ** self.mask_power).clamp(min=torch.finfo(torch.float32).tiny)
        found = hypotheses(own, self.foreign, self.own_power) * sure  # never 0, times which -inf would be no number
        scores = found * self.analytic.probabilities(candidates, heads.classifier).to(found)
        return [self._together(without_duplicates(scores, every > 0, self.same_object), outputs)]

    def _num_answers(self, heads: Heads) -> int:
        return 1


@LEARNERS.register_module(name="anchor_joint")
class AnchorJoint(AllAtOnce, Anchor):
    """ANCHOR with all classes at once: its own upper bound. There are no further steps, so no prompts either."""


def hypotheses(own: Tensor, foreign: float, power: float) -> Tensor:
    """Scores [n, K] to a power, with ``foreign`` times a query's best in place of -inf, the classes of other groups.

    >>> hypotheses(torch.tensor([[0.25, 0.0625, -torch.inf]]), 0.5, 0.5).tolist()
    [[0.5, 0.25, 0.25]]
    """
    sure = own.clamp(min=0) ** power
    return sure.where(own > -torch.inf, foreign * sure.amax(-1, keepdim=True) if foreign else -torch.inf)


def mask_confidence(masks: Tensor) -> Tensor:
    """Mean of sigmoid(logit) over the pixels with a positive logit, of masks [n, T, h, w]; 0 for an empty mask: [n].

    Mask2Former's own factor for images.
    """
    inside = (masks > 0).flatten(1)
    return (masks.flatten(1).float().sigmoid() * inside).sum(1) / inside.sum(1).clamp(min=1)


def without_duplicates(scores: Tensor, masks: Tensor, same_object: float) -> Tensor:
    """Scores [n, K] with -inf where a better score of the class belongs to a track that is the same object.

    Two tracks [n, T, h, w] (bool) are the same object if their IoU over all frames is above ``same_object``. A track
    that itself yields to a better one still counts (YOLACT's fast NMS: all pairs at once); of equal scores the first
    stays.
    """
    flat = masks.flatten(1).float()
    shared = flat @ flat.T
    area = shared.diagonal()
    same = shared > same_object * (area[:, None] + area - shared)
    order = torch.arange(len(scores), device=scores.device)
    earlier = (order[:, None] < order)[..., None]  # [b, a, 1]: b comes before a
    better = (scores[:, None] > scores) | ((scores[:, None] == scores) & earlier)  # [b, a, K]
    return scores.masked_fill((better & same[..., None]).any(0), -torch.inf)
