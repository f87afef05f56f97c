"""CRISP's semantic prompts: generated from class names (ARSP), matched to queries (eq. 1), made consistent (ISC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.learners.crisp_parts.clip_weights import KEY
from cvis.learners.crisp_parts.text import TextTower

Similarity = Literal["cosine", "dot"]
Codebook = Literal["names", "permuted", "random", "none"]
TEMPLATE = "X {name}."
SLOT = 1  # the place of "X": the first token after the start of text


class SemanticPrompts(nn.Module):
    """The adaptive residual semantic prompt pool (ARSP): one learned context token per class, before its name.

    The text of class c is "[v_c] {name}."; its feature of the frozen text tower, averaged over neighbouring
    channels from E down to D, is the class's prompt. Only the newest task's contexts are trained and used; the
    earlier ones stay in the state as they were left.

    Args:
        tower: the frozen text tower.
        dim: D, of the segmenter's queries.
        context_std: of the normal distribution that contexts start from. CLIP's own tokens have about 0.02; the
            released code of the paper starts at 1.
        codebook: ``names``, or a control: ``permuted`` gives every class the prompt of the next one in its step, the
            last that of the first, name and context together; ``random`` replaces the prompts by vectors of random
            direction, each as long as the class's prompt would have been, and trains these in place of the contexts.

    Raises:
        UserError: E is not a multiple of D.
    """

    def __init__(
        self, tower: TextTower, dim: int, context_std: float = 0.02, codebook: Codebook = "names"
    ) -> None:  # fmt: skip
        super().__init__()
        if tower.features % dim:
            raise UserError(
                f"{KEY}.model: {tower.model!r}: its {tower.features} features are not a multiple of the segmenter's "
                f"{dim}; choose another text encoder (ViT-B-32-quickgelu has 512, tiny has 128)"
            )
        self.tower = tower
        self.dim = dim
        self.context_std, self.codebook = context_std, codebook
        self.contexts = nn.ModuleList()  # of nn.Embedding [c_t, W], one per task: embeddings get no weight decay
        self._tokens: list[list[int]] = []
        self._ends: list[int] = []

    def add_task(self, names: Sequence[str]) -> None:
        """Contexts for the classes of a new task, in their order, where the tower is; older ones are frozen."""
        self.contexts.requires_grad_(False)
        context = nn.Embedding(len(names), self.tower.width)
        nn.init.normal_(context.weight, std=self.context_std)
        if self.codebook == "permuted":
            names = [*names[1:], *names[:1]]
            context = nn.Embedding.from_pretrained(context.weight.detach().roll(-1, 0), freeze=False)
        self.contexts.append(context.to(self.tower.net.text_projection.device))
        self._tokens, self._ends = self.tower.tokenize([TEMPLATE.format(name=name) for name in names])
        if self.codebook == "random":
            lengths = self._from_text().detach().norm(dim=1, keepdim=True)
            vectors = F.normalize(torch.randn(len(names), self.dim), dim=1).to(lengths.device) * lengths
            self.contexts[-1] = nn.Embedding.from_pretrained(vectors, freeze=False)

    def forward(self) -> Tensor:
        """P_t [c_t, D]: the prompts of the newest task's classes."""
        return self.contexts[-1].get_parameter("weight") if self.codebook == "random" else self._from_text()

    def _from_text(self) -> Tensor:
        context = self.contexts[-1].get_parameter("weight")
        words = self.tower.embed(torch.tensor(self._tokens, device=context.device))
        text = torch.cat([words[:, :SLOT], context[:, None], words[:, SLOT + 1 :]], dim=1)
        features = self.tower(text, self._ends).to(context.dtype)
        return features.unflatten(1, (self.dim, -1)).mean(dim=2)


@torch.no_grad()
def match_prompts(queries: Tensor, prompts: Tensor, similarity: Similarity = "cosine") -> Tensor:
    """Eq. 1: the prompt nearest to each query, a_i = argmax_j s_ij; several queries may share one.

    As printed, the dot products are divided by the Frobenius norms of both matrices, one number for all pairs:
    its argmax is that of ``dot``. The released code divides each pair by its own norms: ``cosine``.

    Args:
        queries: [N, D].
        prompts: [C, D].

    Returns:
        Indices [N] into ``prompts``.
    """
    return _similarities(queries, prompts, similarity).argmax(dim=1)


def consistency_loss(
    queries: Tensor, prompts: Tensor, assignment: Tensor, similarity: Similarity = "dot"
) -> Tensor:  # fmt: skip
    """The semantic-consistency loss (ISC): each query nearer to its own prompt than to the others.

    mean_i log(1 + sum_{j != a_i} exp(s_ij - s_i,a_i)), which is the cross entropy of s_i towards a_i: in this form
    nothing overflows. In float32 whatever the precision around it. Zero where there is one prompt only.

    Args:
        queries: [N, D].
        prompts: [C, D].
        assignment: a [N], from :func:`match_prompts`.
        similarity: ``dot`` as in the released code, ``cosine`` as in the paper's text.
    """
    with torch.autocast(queries.device.type, enabled=False):
        return F.cross_entropy(_similarities(queries, prompts, similarity), assignment)


def _similarities(queries: Tensor, prompts: Tensor, similarity: Similarity) -> Tensor:
    """s [N, C], in float32."""
    if similarity not in ("cosine", "dot"):
        raise UserError(f"similarity: {similarity!r}: is not known; choose cosine or dot")
    with torch.autocast(queries.device.type, enabled=False):
        queries, prompts = queries.float(), prompts.float()
        if similarity == "cosine":
            queries, prompts = F.normalize(queries, dim=1), F.normalize(prompts, dim=1)
        return queries @ prompts.T
