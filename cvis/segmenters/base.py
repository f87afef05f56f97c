"""The contract of every segmenter: frames become memory, memory becomes outputs, outputs become losses or tracks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.mask2former.groups import QueryGroup
from cvis.segmenters.mask2former.matcher import Matching
from cvis.types import Clip, Targets, Tracks, Video

Classify = Callable[[Tensor, Tensor, float], Tensor]
"""A classification loss: (logits [B, Q, K+1], target columns [B, Q] int64, weight of no-object) -> scalar."""


Cost = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""What a match costs: (logits, mask logits, columns, targets) -> [..., Q, N]; see :func:`~.matcher.pairwise_cost`."""


@dataclass(frozen=True)
class Maps:
    """What a backbone says of B clips of T frames; models with the same frozen backbone can share it."""

    levels: tuple[Tensor, ...]  # each [B * T, C_i, h_i, w_i], fine to coarse
    length: int  # T
    size: tuple[int, int]  # height and width of the padded frames in pixels


@dataclass(frozen=True)
class Memory:
    """What the frozen-able part of a segmenter knows of B videos of T frames."""

    levels: tuple[Tensor, ...]  # each [B, T, D, h_i, w_i], coarse to fine
    mask_features: Tensor  # [B, T, D, h, w]
    size: tuple[int, int]  # height and width of the padded frames in pixels


@dataclass(frozen=True)
class QueryOutput:
    """A prediction layer without its masks, which are the large part."""

    logits: Tensor  # [B, Q, K+1], the last column is no-object
    queries: Tensor  # [B, Q, D], after the decoder's last norm
    mask_embeddings: Tensor  # [B, Q, D]; a mask logit is its inner product with a mask feature
    state: Tensor  # [B, Q, D], before that norm: what the next decoder layer reads


@dataclass(frozen=True)
class Output(QueryOutput):
    """One prediction layer."""

    masks: Tensor  # [B, Q, T, h, w] logits


PREDICTION_LAYERS = ("all", "first_last", "last")
T = TypeVar("T")


def select_layers(layers: Sequence[T], which: str) -> list[T]:
    """``all`` prediction layers (before the first decoder layer and after each), ``first_last``, or ``last``.

    >>> select_layers("abcd", "first_last")
    ['a', 'd']

    Raises:
        UserError: ``which`` is none of them.
    """
    if which not in PREDICTION_LAYERS:
        raise UserError(f"prediction layers: {which!r}: unknown; use one of {', '.join(PREDICTION_LAYERS)}")
    return list(layers) if which == "all" else [*layers[:1], layers[-1]][-1 if which == "last" else 0 :]


class Segmenter(nn.Module, ABC):
    """A video instance segmentation model whose classes grow.

    Shapes depend on the configuration and on the calls of :meth:`add_classes` and :meth:`add_query_group`
    alone, so replaying them and loading a state dict strictly restores any state.

    Attributes:
        capabilities: what a learner may require, e.g. ``query_groups``.
        classes: data-set category ids, in the order of the columns of the class logits.
        class_heads: :class:`ClassHeads`, the heads of all steps.
        groups: module list of :class:`QueryGroup`; ``groups[0]`` is the base group.
        backbone: frozen by :meth:`freeze_backbone`.
        weights: URLs of pre-trained weights, by the name that ``--init`` gives them.
    """

    capabilities: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.classes: list[int] = []
        self.weights: dict[str, str] = {}
        self.backbone_frozen = False
        self.backbone: nn.Module
        self.class_heads: ClassHeads
        self.groups: nn.ModuleList

    @abstractmethod
    def extract(self, frames: Tensor, sizes: Tensor | None = None) -> Maps:
        """The backbone. ``frames`` uint8 RGB [B, T, 3, H, W]; ``sizes`` [B, 2] before padding."""

    @abstractmethod
    def encode(self, maps: Maps) -> Memory:
        """The pixel decoder, on what :meth:`extract` answered."""

    def features(self, frames: Tensor, sizes: Tensor | None = None) -> Memory:
        """Backbone and pixel decoder: :meth:`extract` and :meth:`encode`."""
        return self.encode(self.extract(frames, sizes))

    @abstractmethod
    def decode(
        self, memory: Memory, group: int = 0, prediction_layers: str = "all", prompt: Tensor | None = None
    ) -> list[Output]:
        """Decode one query group; one output per prediction layer, the last is the answer."""

    @abstractmethod
    def decode_queries(
        self, memory: Memory, group: int = 0, prediction_layers: str = "all", prompt: Tensor | None = None
    ) -> list[QueryOutput]:
        """:meth:`decode` without the masks."""

    @abstractmethod
    def decode_groups(self, memory: Memory) -> list[QueryOutput]:
        """The answer of every query group, without masks."""

    @abstractmethod
    def with_masks(self, memory: Memory, layers: Sequence[QueryOutput]) -> list[Output]:
        """The masks of what :meth:`decode_queries` answered."""

    @abstractmethod
    def criterion(
        self,
        outputs: Sequence[Output],
        targets: Sequence[Targets],
        classify: Classify | Sequence[Classify] | None = None,
        class_weight: float | None = None,
        cost: Cost | None = None,
    ) -> dict[str, Tensor]:
        """Named, weighted scalar losses of a batch.

        ``classify``, ``class_weight`` and ``cost`` replace the classification loss (of all prediction layers, or
        one for each), its weight, and what the matching minimises.
        """

    @abstractmethod
    def match(self, outputs: Sequence[Output], targets: Sequence[Targets]) -> Matching:
        """The matching of queries and targets in every prediction layer."""

    @abstractmethod
    def add_query_group(self, num_queries: int, step: int, own_mask_head: bool = True) -> QueryGroup:
        """Append a query group."""

    @abstractmethod
    def predict(self, video: Video) -> Tracks:
        """Find the tracks of one video with the base group."""

    @abstractmethod
    def video_features(self, video: Video) -> Memory:
        """:meth:`features` of a whole video on disk."""

    @abstractmethod
    def tracks(
        self, video: Video, memory: Memory, scores: Tensor, mask_embeddings: Tensor, soft_masks: bool = False
    ) -> Tracks:
        """The best (query, class) pairs as tracks: ``scores`` [Q, K], -inf: no answer; ``mask_embeddings`` [Q, D].

        With ``soft_masks`` the queries compete for every pixel, see :func:`~.points.compete`.
        """

    def group(self, index: int) -> QueryGroup:
        """``groups[index]``, typed."""
        member = self.groups[index]
        assert isinstance(member, QueryGroup)
        return member

    def forward(self, clip: Clip) -> list[Output]:
        """The base group's outputs for a batch of clips."""
        return self.decode(self.features(clip.frames, clip.sizes))

    def add_classes(self, category_ids: Sequence[int], init: str = "default", head: nn.Module | None = None) -> None:
        """Grow the class logits by the classes of a step, before the no-object column; see :meth:`ClassHeads.add`.

        Raises:
            UserError: no id, or an id that is there already.
        """
        ids = [int(category) for category in category_ids]
        if not ids:
            raise UserError("add_classes: category_ids: []: a step without classes; give each step at least one")
        for index, category in enumerate(ids):
            if category in self.classes or category in ids[:index]:
                raise UserError(f"add_classes: category_ids: {category}: added twice; each class belongs to one step")
        self.class_heads.add(len(ids), init, head)
        self.classes.extend(ids)

    def freeze_backbone(self) -> None:
        """No gradients for the backbone, and its eval mode whatever :meth:`train` says, from now on."""
        self.backbone_frozen = True
        self.backbone.requires_grad_(False)
        self.backbone.eval()

    def train(self, mode: bool = True) -> Segmenter:
        """As any module's, but a frozen backbone stays in eval mode."""
        super().train(mode)
        if self.backbone_frozen:
            self.backbone.eval()
        return self
