"""CRISP (arXiv 2508.10432): ECLIPSE with better prompts, in four parts that can be switched off one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from cvis.learners.crisp_parts.correlation import Target, correlation_loss, correlation_target
from cvis.learners.crisp_parts.pca import Selection, pca_queries
from cvis.learners.crisp_parts.semantic import (
    Codebook,
    SemanticPrompts,
    Similarity,
    consistency_loss,
    match_prompts,
)
from cvis.learners.crisp_parts.text import TextTower
from cvis.learners.eclipse import Eclipse
from cvis.learners.registry import LEARNERS
from cvis.learners.settings import Weight
from cvis.scenario import Task
from cvis.segmenters import Segmenter
from cvis.segmenters.groups import QueryGroup
from cvis.segmenters.outputs import Residual

TEXT_ENCODER = {"model": "ViT-B-32-quickgelu", "pretrained": "openai"}


@LEARNERS.register_module(name="crisp")
class Crisp(Eclipse):
    """ECLIPSE with semantic prompts, consistency with them, PCA initialisation and instance correlation.

    Each of the four parts has a switch of its own; without all four this is ECLIPSE, number for number. Inference
    is ECLIPSE's in any case. ARSP and ISC share a pool of semantic prompts, which exists if either is on: ``isc``
    without ``arsp`` pulls the queries towards their classes' prompts, but injects nothing. (The released code stops
    with an error there, and no published row has ISC without ARSP.)

    The parts: :func:`~cvis.learners.crisp_parts.semantic.match_prompts`,
    :func:`~cvis.learners.crisp_parts.semantic.consistency_loss`, :func:`~cvis.learners.crisp_parts.pca.pca_queries` and
    :func:`~cvis.learners.crisp_parts.correlation.correlation_loss`.

    Args:
        eclipse: the settings of :class:`~cvis.learners.eclipse.Eclipse`.
        arsp: adaptive residual semantic prompts: in training, each query's semantic prompt is added to the values
            of self-attention in every decoder layer (equations 1 and 2). It is one prompt for all layers, as in the
            released code; the paper writes P^l_m and does not say what l changes.
        isc: instance-semantic consistency: the contrastive loss of queries and semantic prompts.
        pca_init: queries start as principal directions of all older ones (Algorithm 1), else at their mean.
        ic: instance correlation: queries shall be as alike as the base queries are (equation 6), in every layer.
        text_encoder: ``model`` and ``pretrained`` of :class:`~cvis.learners.crisp_parts.text.TextTower`. Its weights
            are downloaded only if named by a tag that is not in the cache.
        codebook: where the semantic prompts come from: class ``names``, or a control that leaves all else as it is:
            the names ``permuted`` within the step, ``random`` vectors of the same lengths (drawn from the run's seed,
            and trained, as the names' prompts are through their contexts), or ``none``: neither ARSP nor ISC. See
            :class:`~cvis.learners.crisp_parts.semantic.SemanticPrompts`.
        inject: where equation 2, softmax(QK^T / sqrt(d)) (V + P), has its V: ``before_projection``, V being what W_v
            reads, so that P passes through W_v (released code); or ``after_projection``, V being what W_v has made,
            as the equation is printed.
        context_std: of the normal distribution that a class's context starts from: 0.02, as CLIP's own tokens
            have and CoOp uses; the released code draws from 1.
        matching: which prompt is nearest to a query: by ``cosine`` (released code) or ``dot`` (equation 1, whose
            norms are one number for all pairs).
        isc_similarity: ``dot`` (released code) or ``cosine`` (the paper's text).
        pca_selection: ``top_variance`` or ``reference_norm``, see :func:`~cvis.learners.crisp_parts.pca.pca_queries`.
        ic_target: ``first_block`` or ``identity``, see
            :func:`~cvis.learners.crisp_parts.correlation.correlation_target`.
        lambda_isc, lambda_ic: weights of the two losses (equation 7); the second holds for each layer.
        step0_ic: with ``ic``, train the base queries to be orthogonal (equation 4) in every layer. The method then
            has a step-0 model of its own and is not comparable, part for part, with learners that share theirs.

    Deviations:
        - Paper and released code differ: the presets ``crisp_paper`` and ``crisp_code`` are the two readings, the
          default is a mixture that shares step 0 with the other methods and starts contexts at CLIP's own scale.
        - ISC needs the pool of semantic prompts, not their injection, so it works without ARSP.
        - Nothing ties semantic prompt j to class j, here as in the paper and its code: a query takes the nearest.
        - ECLIPSE's deviations hold here, too.

    Raises:
        UserError: a value that is not possible, more prompts than ``pca_init`` or ``ic`` can have with so few base
            queries, or a text encoder that cannot be had.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        arsp: bool = True,
        isc: bool = True,
        pca_init: bool = True,
        ic: bool = True,
        text_encoder: dict[str, str] = TEXT_ENCODER,
        codebook: Codebook = "names",
        inject: Literal["before_projection", "after_projection"] = "before_projection",
        context_std: Weight = 0.02,
        matching: Similarity = "cosine",
        isc_similarity: Similarity = "dot",
        pca_selection: Selection = "top_variance",
        ic_target: Target = "first_block",
        lambda_isc: Weight = 3.0,
        lambda_ic: Weight = 3.0,
        step0_ic: bool = False,
        **eclipse: Any,
    ) -> None:
        super().__init__(segmenter, **eclipse)
        if codebook == "none":
            arsp = isc = False
        self.arsp, self.isc, self.pca_init, self.ic = arsp, isc, pca_init, ic
        self.inject = inject
        self.matching, self.isc_similarity = matching, isc_similarity
        self.pca_selection, self.ic_target = pca_selection, ic_target
        self.lambda_isc, self.lambda_ic = lambda_isc, lambda_ic
        self.step0_ic = ic and step0_ic
        self.own_step0 = self.own_step0 or self.step0_ic
        base = self.segmenter.group(0).queries
        if pca_init:
            pca_queries(base, self.num_prompts, pca_selection)  # what is refused after step 0 is refused before it
        if ic:
            correlation_target(base, self.num_prompts, ic_target)
        self.semantic: SemanticPrompts | None = None
        if arsp or isc:
            self.semantic = SemanticPrompts(TextTower(**text_encoder), base.shape[1], context_std, codebook)
        self._matched: tuple[Tensor, Tensor] | None = None  # prompts and assignment of the current forward

    def describe(self) -> dict[str, Any]:
        """The text encoder, where there is one: results with random weights must say so."""
        return {**super().describe(), **({"text_encoder": self.semantic.tower.describe()} if self.semantic else {})}

    @torch.no_grad()
    def observe(self) -> dict[str, float]:
        """``coverage``: the share of the step's semantic prompts that are matched; ``isc``: the unweighted term."""
        if self.semantic is None or len(self.segmenter.groups) == 1:
            return {}
        queries, prompts = self._newest.queries, self.semantic()
        assignment = match_prompts(queries, prompts, self.matching)
        term = consistency_loss(queries, prompts, assignment, self.isc_similarity)
        return {"coverage": len(assignment.unique()) / len(prompts), "isc": float(term)}

    @torch.no_grad()
    def _initialise(self, group: QueryGroup, task: Task) -> None:
        super()._initialise(group, task)
        if self.pca_init:
            old = torch.cat([self.segmenter.group(index).queries for index in range(len(self.segmenter.groups) - 1)])
            group.queries.copy_(pca_queries(old, self.num_prompts, self.pca_selection))
        if self.semantic is not None:
            names = {category.id: category.name for category in task.train.categories}
            self.semantic.add_task([names[category] for category in task.new_classes])

    def _residual(self) -> Residual | None:
        """Each query's semantic prompt, by the static queries: the same for all layers and clips."""
        if self.semantic is None:
            return None
        prompts = self.semantic()
        assignment = match_prompts(self._newest.queries, prompts, self.matching)
        self._matched = prompts, assignment
        return Residual(prompts[assignment], self.inject == "after_projection") if self.arsp else None

    def _extra_losses(self, layers: Sequence[Tensor]) -> dict[str, Tensor]:
        """``loss_isc`` and ``loss_ic``, weighted."""
        losses = {}
        matched, self._matched = self._matched, None
        if self.isc and matched is not None:
            losses["loss_isc"] = self.lambda_isc * consistency_loss(
                self._newest.queries, *matched, similarity=self.isc_similarity
            )
        is_base = len(self.segmenter.groups) == 1
        if self.step0_ic if is_base else self.ic:
            kind: Target = "identity" if is_base else self.ic_target
            target = correlation_target(self.segmenter.group(0).queries, len(self._newest), kind)
            losses["loss_ic"] = self.lambda_ic * correlation_loss(layers, target)
        return losses

    @property
    def _newest(self) -> QueryGroup:
        return self.segmenter.group(-1)
