"""What every segmenter can do, and what only some can: a small core, and abilities that learners require by name.

A model inherits from the abilities that it has; a learner names those that it needs in ``requires``, and where one is
lacking it is refused before anything is trained. Fine-tuning and replay need the core alone, which dense models have.

==================  ====================================================================  =========================
ability             what it gives                                                         who builds on it
==================  ====================================================================  =========================
(core)              losses of a batch, tracks of a video, growing classes                 finetune, joint, replay
``ClipTracks``      the tracks that a model sees in a training clip                       pseudo
``SharedFeatures``  what the frozen part says of a batch, once for a model and its copy   every learner with a teacher
``ClassSlots``      class logits of a fixed set of queries, locations or pixels           mib, comformer, balconpas
``AlignedQueries``  slots that are queries, layer by layer, in one order in every copy    combo
``QueryGroups``     further groups of queries, which do not see each other                eclipse, crisp
==================  ====================================================================  =========================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.background import Background
from cvis.segmenters.feature_cache import FeatureCache
from cvis.segmenters.groups import QueryGroup
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.outputs import (
    Answers,
    Draw,
    Maps,
    Memory,
    Output,
    ProposedTracks,
    QueryOutput,
    Residual,
    SlotOutput,
)
from cvis.types import Clip, Targets, Track, Tracks, Video

Classify = Callable[[Tensor, Tensor, float], Tensor]
"""A classification loss: (logits [B, N, C], columns [B, N] int64, weight of no-object, whose column is K) -> scalar."""

Refine = Callable[[QueryOutput], Tensor]
"""Queries for the last decoder layer, made of what the layer before it says: [B, Q, D], or k sets of them, stacked on
the batch axis [k * B, Q, D]."""


class Segmenter(nn.Module, ABC):
    """A video instance segmentation model whose classes grow.

    Shapes depend on the configuration and on the calls of :meth:`add_classes` (and other growth) alone, so replaying
    them and loading a state dict strictly restores any state.

    Attributes:
        classes: data-set category ids, in the order in which they were added.
        backbone: what :meth:`freeze_backbone` freezes; a model without one of that name overrides the method.
        weights: URLs of pre-trained weights, by the name that ``--init`` gives them.
        window: how many frames of a video :meth:`predict` takes at a time, if it takes less memory with fewer of them;
            where memory runs out, evaluation halves it for that video.
        new_weights: prefixes of weights that a checkpoint need not hold, or may hold for nothing: of other classes.
        of_step: prefixes of weights that begin anew with every step, as what tells the tracks of its videos apart.
        static_graph: see :class:`~cvis.learners.base.Learner`.
        variants: learners that need a reading of their own with this model; tables call them so.
        switched_off: abilities that a model lacks as it is set up, and the setting that would give it each.
    """

    new_weights: ClassVar[tuple[str, ...]] = ()
    of_step: ClassVar[tuple[str, ...]] = ()
    variants: ClassVar[tuple[str, ...]] = ()
    switched_off: Mapping[type[Segmenter], str] = {}
    window: int | None = None
    static_graph: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.classes: list[int] = []
        self.weights: dict[str, str] = {}
        self.backbone_frozen = False
        self.backbone: nn.Module

    @abstractmethod
    def losses(self, clip: Clip, maps: Maps | None = None) -> dict[str, Tensor]:
        """Named, weighted scalars of plain training on a batch.

        Args:
            maps: what :meth:`SharedFeatures.extract` said of the batch; None: find out.

        Raises:
            UserError: a target of a class that was not added: the data leaked it.
        """

    @abstractmethod
    def predict(self, video: Video) -> Tracks:
        """Find the tracks of one video of any length. The caller calls ``eval()`` first."""

    @abstractmethod
    def grow(self, num_classes: int) -> None:
        """Make room for that many more classes; :meth:`add_classes` keeps the ids. It may take keywords of its own."""

    def add_classes(self, category_ids: Sequence[int], **how: object) -> None:
        """Grow by the classes of a step, new ones behind the old.

        Args:
            how: of :meth:`grow`, for models that can begin a class in several ways.

        Raises:
            UserError: no id, or an id that is there already.
        """
        ids = [int(category) for category in category_ids]
        if not ids:
            raise UserError("add_classes: category_ids: []: a step without classes; give each step at least one")
        for index, category in enumerate(ids):
            if category in self.classes or category in ids[:index]:
                raise UserError(f"add_classes: category_ids: {category}: added twice; each class belongs to one step")
        self.grow(len(ids), **how)
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

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a checkpoint of other software under the names of this model's own."""
        return dict(weights)


class ClipTracks(Segmenter):
    """The model can say which tracks it sees in a training clip."""

    @abstractmethod
    def clip_tracks(self, clip: Clip, maps: Maps | None = None) -> list[ProposedTracks]:
        """For each of the B clips its tracks of a class; what the model takes for background is none.

        Args:
            maps: see :meth:`Segmenter.losses`.
        """


class SharedFeatures(Segmenter):
    """The part before the heads can be run by itself, so that a model and its frozen copy run it once.

    Attributes:
        feature_parts: modules behind :meth:`features`, if it makes a plain ``Memory``, each clip by itself.
        features_frozen: they will not change any more; a learner says so.
        feature_cache: where to look for what they said, then.
        fine_masks: behind the mask features lies the backbone's finest map, each pixel normalised.
    """

    feature_parts: ClassVar[tuple[str, ...]] = ()
    features_frozen: bool = False
    feature_cache: FeatureCache | None = None
    fine_masks: bool = False

    @abstractmethod
    def extract(self, frames: Tensor, sizes: Tensor | None = None) -> Maps:
        """The backbone. ``frames`` uint8 RGB [B, T, 3, H, W]; ``sizes`` [B, 2] before padding."""

    @abstractmethod
    def encode(self, maps: Maps) -> Memory:
        """The pixel decoder, on what :meth:`extract` answered."""

    def features(self, frames: Tensor, sizes: Tensor | None = None) -> Memory:
        """Backbone and pixel decoder: :meth:`extract` and :meth:`encode`."""
        if self.feature_cache is not None and self.features_frozen and self.feature_parts:
            return self.feature_cache.features(self, frames, sizes)
        return self.encode(self.extract(frames, sizes))

    def memory_of(self, clip: Clip, maps: Maps | None) -> Memory:
        """The features of a batch, of whose ``maps`` may be known."""
        return self.encode(self.extract(clip.frames, clip.sizes) if maps is None else maps)


class ClassSlots(SharedFeatures):
    """Classes are told apart in slots, the N queries, locations or pixels of a clip; slot i of a copy is slot i.

    Attributes:
        background: how what is no class shows, see :mod:`cvis.segmenters.background`.
        class_heads: logits of slots, a module list ``steps`` with one head for each step: :class:`ClassHeads` or alike.
    """

    background: ClassVar[Background] = "column"
    class_heads: Any

    @abstractmethod
    def answers(self, memory: Memory) -> Sequence[SlotOutput]:
        """All prediction layers, the last is the answer. Of queries they are still without masks."""

    def with_masks(self, memory: Memory, layers: Sequence[Any]) -> Sequence[Any]:
        """What :meth:`criterion` reads of what :meth:`answers` said; of slots that are no queries it is the same."""
        return layers

    @abstractmethod
    def criterion(
        self,
        outputs: Sequence[Any],
        targets: Sequence[Targets],
        classify: Classify | Sequence[Classify] | None = None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """Named, weighted scalar losses of what the model answered for a batch. ``classify`` and ``class_weight``
        replace the classification loss (of all prediction layers, or one for each) and its weight."""

    def grow(self, num_classes: int, init: str = "default", head: nn.Module | None = None) -> None:
        """See :meth:`ClassHeads.add`."""
        self.class_heads.add(num_classes, init, head)

    def losses(self, clip: Clip, maps: Maps | None = None) -> dict[str, Tensor]:
        memory = self.memory_of(clip, maps)
        return self.criterion(self.with_masks(memory, self.answers(memory)), clip.targets)

    def per_track(self, weights: Tensor) -> Tensor:
        """Weights [B, N] of slots; where several queries are one track, as in the frames of a clip, its mean."""
        return weights

    @torch.no_grad()
    def matched_to(self, output: Any, targets: Sequence[Targets], category_ids: Sequence[int]) -> Tensor:
        """[B, N] bool: slots that the criterion teaches one of these classes, with all targets in the matching."""
        wanted = torch.tensor([self.classes.index(category) for category in category_ids])
        taught: list[Tensor] = []

        def classify(logits: Tensor, columns: Tensor, no_object_weight: float) -> Tensor:
            taught.append(torch.isin(columns, wanted.to(columns)))
            return logits.sum()

        self.criterion([output], targets, classify)
        return taught[0]


class AlignedQueries(ClassSlots, ClipTracks):
    """Slots are queries, in every prediction layer, and no step adds or drops one: copies compare them by index.

    Attributes, of which a learner sets the first three, once:
        soft_masks: a mask's probability is its softmax over the queries, of logits at the size or points of reading.
        draw: how the masks of each group of queries come to the size of the frames; None: bilinear.
        keeps_backbone: a memory holds the backbone's maps, too, coarse to fine.
        backbone_channels: of those maps; (): the model cannot keep them.
    """

    class_heads: ClassHeads
    soft_masks: bool = False
    draw: Draw | None = None
    keeps_backbone: bool = False
    backbone_channels: Sequence[int] = ()

    @property
    def seen_together(self) -> int | None:
        """How many frames of a video ``read`` of :meth:`predict` is shown at a time; None: all."""
        return None

    @abstractmethod
    def decode_queries(self, memory: Memory, *, refine: Refine | None = None) -> list[QueryOutput]:
        """All prediction layers, the last is the answer, without masks.

        Args:
            refine: what the last decoder layer reads in place of the ``state`` of the layer before it. Each of its k
                sets of queries has a last prediction layer of its own, in their order.
        """

    def answers(self, memory: Memory) -> list[QueryOutput]:
        return self.decode_queries(memory)

    @abstractmethod
    def with_masks(self, memory: Memory, layers: Sequence[QueryOutput]) -> list[Output]:
        """The masks of what :meth:`decode_queries` answered."""

    @abstractmethod
    def query_embeddings(self) -> list[nn.Parameter]:
        """All that is learned of queries that have seen no video yet, first of all their contents [Q, D]."""

    @abstractmethod
    def matching_costs(self, output: Output, targets: Sequence[Targets]) -> list[Tensor]:
        """What it would cost to match each query with each target, without anything random: [Q, N] of each clip."""

    @abstractmethod
    def proposals(self, output: Output, memory: Memory, size: Sequence[int]) -> list[ProposedTracks]:
        """The tracks that an answer proposes in each clip; ``size``: height and width of the clips, with padding."""

    @torch.no_grad()
    def clip_tracks(self, clip: Clip, maps: Maps | None = None) -> list[ProposedTracks]:
        memory = self.memory_of(clip, maps)
        answer = self.with_masks(memory, self.decode_queries(memory)[-1:])[0]
        return self.proposals(answer, memory, clip.frames.shape[-2:])

    @abstractmethod
    def video_features(self, video: Video) -> Memory:
        """What :meth:`predict` reads of a whole video, B = 1."""

    @abstractmethod
    def track_masks(self, video: Video, tracks: Sequence[Track], memory: Memory) -> Tensor:
        """Which share of each pixel of the mask features each of N annotated tracks covers: [N, T, h, w] in [0, 1]."""

    @abstractmethod
    def map_channels(self) -> list[int]:
        """Of a memory's maps: its levels, and the mask features last."""

    @abstractmethod
    def predict(self, video: Video, read: Callable[[Memory], Sequence[Answers]] | None = None) -> Tracks:
        """As any segmenter's; or for each answer that ``read`` makes of the video its best tracks, in this order."""


class QueryGroups(AlignedQueries):
    """Queries come in groups that do not see one another; adding and training one changes nothing in the others.

    Attributes:
        groups: module list of :class:`~cvis.segmenters.groups.QueryGroup`; ``groups[0]`` is the base group.
    """

    groups: nn.ModuleList

    @abstractmethod
    def group(self, index: int) -> QueryGroup:
        """``groups[index]``, typed."""

    @abstractmethod
    def add_query_group(
        self, num_queries: int, step: int, own_mask_head: bool = True, fine_masks: bool = False
    ) -> QueryGroup:
        """Append a query group; with ``fine_masks``, its masks also read the backbone's finest map."""

    @abstractmethod
    def decode_queries(
        self, memory: Memory, group: int = 0, residual: Residual | None = None, *, refine: Refine | None = None
    ) -> list[QueryOutput]:
        """All prediction layers of one group; ``residual`` is added to the values of its self-attention."""

    @abstractmethod
    def decode_groups(self, memory: Memory) -> list[QueryOutput]:
        """The answer of every group, bit for bit that of decoding it alone, in much less time."""

    @abstractmethod
    def annotated(self, video: Video, tracks: Sequence[Track]) -> tuple[Tensor, Tensor]:
        """The frames that :meth:`predict` reads, uint8 [T, 3, H, W], and where N tracks are: bool [N, T, H, W]."""

    @abstractmethod
    def predict_each(self, video: Video, read: Callable[[Memory], Sequence[Answers]]) -> list[Tracks]:
        """What :meth:`predict` makes of each answer of ``read``. One may be of the first classes and groups only."""
