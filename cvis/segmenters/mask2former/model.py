"""Mask2Former-VIS (Cheng et al., arXiv 2112.10764): one query is one track through all frames of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import torch
from torch import Tensor, nn

from cvis.segmenters import background as no_object
from cvis.segmenters.backbone import build_backbone
from cvis.segmenters.contract import Classify, QueryGroups, Refine
from cvis.segmenters.framewise import Framewise
from cvis.segmenters.groups import QueryGroup
from cvis.segmenters.heads import ClassHeads, mlp
from cvis.segmenters.inputs import part, target_columns, target_masks
from cvis.segmenters.mask2former import long
from cvis.segmenters.mask2former.checkpoint_names import renamed
from cvis.segmenters.mask2former.criterion import Criterion, pad_tracks, softmax_cross_entropy
from cvis.segmenters.mask2former.decoder import Decoder, LayerState, mask_logits, normalised, resize
from cvis.segmenters.mask2former.inference import Inference
from cvis.segmenters.mask2former.matcher import Matching
from cvis.segmenters.mask2former.pixel_decoder import PixelDecoder
from cvis.segmenters.mask2former.points import pixel_centres
from cvis.segmenters.openmmlab import quiet
from cvis.segmenters.outputs import Answers, Maps, Memory, Output, ProposedTracks, QueryOutput, Residual, select_layers
from cvis.segmenters.registry import SEGMENTERS
from cvis.types import Targets, Track, Tracks, Video


@SEGMENTERS.register_module(name="mask2former")
class Mask2Former(Framewise, QueryGroups):
    """Mask2Former-VIS with query groups and growing class heads.

    Args:
        backbone: ``dict(type="ConvBackbone", ...)`` or a backbone of mmdet by its own config.
        in_channels, strides: of the backbone's levels, fine to coarse.
        dim: channels of queries, memory and mask features.
        num_queries: of the base group.
        levels: how many of the coarse levels the pixel decoder's encoder and the decoder use.
        pixel_decoder: ``layers``, ``heads``, ``points``, ``feedforward`` of :class:`PixelDecoder`.
        decoder: ``layers``, ``heads``, ``feedforward`` of :class:`Decoder`.
        class_head: ``linear`` or ``mlp``.
        criterion: arguments of :class:`Criterion`.
        test: arguments of :class:`Inference`.
        mean, std: of RGB in 0..255.
        weights: URLs of known initial weights by name (``coco``, ``imagenet``), see
            :func:`~cvis.segmenters.init.load_init`.
        channels_last: keep maps with the channels innermost; on a CPU, 1x1 and depthwise convolutions and
            resizing are several times faster so.
        size_divisor: frames are padded with zeros, after normalisation, to a multiple of it.

    Deviations:
        - Classes grow step by step, and queries may come in groups; with one of each it is the published model.
        - Deformable attention is pure torch, on a CPU and on a GPU.
        - A video is decoded whole, whatever its length: frames and masks pass in windows. Of more than 64 frames, on a
          CPU of more than 2 million pixels, what the queries read does so too, from files in the folder for temporary
          ones ($TMPDIR).
    """

    new_weights: ClassVar[tuple[str, ...]] = ("class_heads.", "loss_cls.")
    static_graph = True
    feature_parts = ("backbone", "pixel_decoder")
    decoder_type: ClassVar[type[Decoder]] = Decoder
    criterion_type: ClassVar[type[Criterion]] = Criterion
    inference_type: ClassVar[type[Inference]] = Inference

    def __init__(
        self,
        backbone: dict,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        strides: Sequence[int] = (4, 8, 16, 32),
        dim: int = 256,
        num_queries: int = 100,
        levels: int = 3,
        pixel_decoder: dict | None = None,
        decoder: dict | None = None,
        class_head: str = "linear",
        criterion: dict | None = None,
        test: dict | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        size_divisor: int = 32,
        weights: dict[str, str] | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.weights = dict(weights or {})
        self.set_input(mean, std, size_divisor)
        self.backbone = build_backbone(backbone)
        sizes = dict(dim=dim, levels=levels)
        self.pixel_decoder = part("pixel_decoder", PixelDecoder, pixel_decoder, in_channels, strides, **sizes)
        self.decoder = part("decoder", self.decoder_type, decoder, **sizes)
        self.class_heads = ClassHeads(dim, class_head)
        self.groups = nn.ModuleList([QueryGroup(num_queries, dim, mask_head=mlp(dim, dim, dim))])
        self._criterion = part("criterion", self.criterion_type, criterion)
        self.inference = part("test", self.inference_type, test)
        self.backbone_channels = tuple(in_channels[::-1])
        with quiet():
            self.pixel_decoder.init_weights()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        for kernel in (parameter for parameter in self.parameters() if parameter.dim() == 4):
            kernel.data = kernel.data.contiguous(memory_format=self.memory_format)

    @property
    def window(self) -> int | None:
        """None where another window would be another answer."""
        return self.inference.window if self.inference.tracking == "none" else None

    @window.setter
    def window(self, frames: int | None) -> None:
        assert frames is not None  # nobody halves what is None
        self.inference = replace(self.inference, window=frames)

    @property
    def seen_together(self) -> int | None:
        return None if self.inference.tracking == "none" else self.inference.window

    def encode(self, maps: Maps) -> Memory:
        """Run the pixel decoder frame by frame."""
        mask_features, levels = self.pixel_decoder(maps.levels)
        if self.fine_masks:
            mask_features = torch.cat([mask_features, normalised(maps.levels[0]).to(mask_features)], 1)
        return Memory(
            tuple(level.unflatten(0, (-1, maps.length)) for level in levels),
            mask_features.unflatten(0, (-1, maps.length)),
            maps.size,
            backbone=tuple(level.unflatten(0, (-1, maps.length)) for level in maps.levels[::-1] if self.keeps_backbone),
        )

    def decode_queries(
        self, memory: Memory, group: int = 0, residual: Residual | None = None, *, refine: Refine | None = None
    ) -> list[QueryOutput]:
        return self._decode(memory, group, "all", residual, refine)

    def _decode(
        self, memory: Memory, group: int, which: str, residual: Residual | None = None, refine: Refine | None = None
    ) -> list[QueryOutput]:
        read: Callable[[LayerState], Tensor] | None = (
            None if refine is None else lambda state: refine(self._classified([state])[0])
        )
        decoded = self.decoder(memory, [self._with_mask_head(group)], residual, read, self.soft_masks)
        *layers, last = [states[0] for states in decoded]
        batch = len(layers[0].queries)
        return self._classified(select_layers([*layers, *last.split(batch)], which))

    def decode_groups(self, memory: Memory) -> list[QueryOutput]:
        """The answer (the last layer) of every group, bit for bit that of decoding it alone, in much less time."""
        everyone = [self._with_mask_head(index) for index in range(len(self.groups))]
        for states in self.decoder(memory, everyone, soft_masks=self.soft_masks):
            answers = states
        return [self._classified([answer])[0] for answer in answers]

    def _with_mask_head(self, index: int) -> tuple[QueryGroup, nn.Module]:
        member = self.group(index)
        head = member.mask_head or self.group(0).mask_head
        assert head is not None  # the base group has one of its own
        return member, head

    def _classified(self, states: Sequence[LayerState]) -> list[QueryOutput]:
        """Prediction layers of one group with their class logits."""
        queries = torch.cat([state.queries for state in states], dim=1)
        with torch.autocast(queries.device.type, enabled=False):  # bf16 logits would tie scores
            wide = torch.promote_types(queries.dtype, torch.float32)
            logits = self.class_heads(queries.to(wide)).split(states[0].queries.shape[1], dim=1)
        return [
            QueryOutput(row, state.queries, state.mask_embeddings, state.state)
            for row, state in zip(logits, states, strict=True)
        ]

    def decode(self, memory: Memory, group: int = 0, prediction_layers: str = "all") -> list[Output]:
        """One query group with its masks; ``prediction_layers``: see :func:`select_layers`."""
        return self.with_masks(memory, self._decode(memory, group, prediction_layers))

    def with_masks(self, memory: Memory, layers: Sequence[QueryOutput]) -> list[Output]:
        """Prediction layers of one group with their masks."""
        embeddings = torch.cat([layer.mask_embeddings for layer in layers], dim=1)
        masks = mask_logits(embeddings, memory.mask_features).split(layers[0].queries.shape[1], dim=1)
        return [
            Output(layer.logits, layer.queries, layer.mask_embeddings, layer.state, mask)
            for layer, mask in zip(layers, masks, strict=True)
        ]  # fmt: skip

    def query_embeddings(self) -> list[nn.Parameter]:
        base = self.group(0)
        return [base.queries, base.positions]

    def criterion(
        self,
        outputs: Sequence[Output],
        targets: Sequence[Targets],
        classify: Classify | Sequence[Classify] | None = None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """Losses of methods "Mask2Former-VIS": see :class:`Criterion`.

        Raises:
            UserError: a target of a class that has no column here: the data leaked it.
        """
        columns, masks = self._columns(targets), self._masks(targets)
        classify = classify or softmax_cross_entropy
        return self._criterion(outputs, columns, masks, classify, class_weight, self.soft_masks)

    def match(self, outputs: Sequence[Output], targets: Sequence[Targets]) -> Matching:
        """The Hungarian matching of every prediction layer."""
        columns, padded = self._columns(targets), pad_tracks(self._masks(targets))
        return self._criterion.match(outputs, columns, padded, soft_masks=self.soft_masks)

    @torch.no_grad()
    def matched_to(self, output: Output, targets: Sequence[Targets], category_ids: Sequence[int]) -> Tensor:
        matching = self.match([output], targets)
        ids = torch.cat([target.category_ids for target in targets])
        wanted = torch.isin(ids, ids.new_tensor(list(category_ids))) & (matching.query[0] >= 0)
        matched = torch.zeros(output.logits.shape[:2], dtype=torch.bool, device=output.logits.device)
        matched[matching.clip[wanted], matching.query[0][wanted]] = True
        return matched

    @torch.no_grad()
    def matching_costs(self, output: Output, targets: Sequence[Targets]) -> list[Tensor]:
        """As in training, but at the centres of all pixels of the predicted masks."""
        columns, padded = self._columns(targets), pad_tracks(self._masks(targets), output.masks.dtype)
        points = pixel_centres(*output.masks.shape[-2:]).to(padded).expand(len(columns), -1, -1)
        costs = self._criterion.costs([output], columns, padded, points, soft_masks=self.soft_masks)[0]
        return [cost[:, : len(ids)] for cost, ids in zip(costs, columns, strict=True)]

    @torch.no_grad()
    def proposals(self, output: Output, memory: Memory, size: Sequence[int]) -> list[ProposedTracks]:
        """Of queries whose best is a class."""
        height, width = size
        proposals = []
        for logits, masks in zip(output.logits, output.masks, strict=True):
            probabilities = logits.softmax(-1)
            proposing = (~no_object.is_no_object(probabilities.argmax(-1), logits)).nonzero().squeeze(1)
            # resizing the masks of queries that propose nothing would cost the most; soft masks need them
            large = resize((masks if self.soft_masks else masks[proposing]).float(), memory.size)[..., :height, :width]
            large = large.softmax(0)[proposing] if self.soft_masks else large.sigmoid()
            proposals.append(ProposedTracks(no_object.split(probabilities[proposing].float())[0], large))
        return proposals

    def add_query_group(
        self, num_queries: int, step: int, own_mask_head: bool = True, fine_masks: bool = False
    ) -> QueryGroup:
        """Append a group with one position embedding per decoder layer; see :class:`QueryGroup`."""
        dim = self.class_heads.dim
        read = dim + self.backbone_channels[-1] * fine_masks
        head = mlp(dim, dim, read) if own_mask_head else None
        self.fine_masks |= fine_masks
        group = QueryGroup(num_queries, dim, len(self.decoder.layers), head, step)
        self.groups.append(group.to(self.mean.device))
        return group

    @torch.inference_mode()
    def predict(self, video: Video, read: Callable[[Memory], Sequence[Answers]] | None = None) -> Tracks:
        """Find the tracks of one video; without ``read`` those of the base group, whose scores are the classes'
        probabilities. The caller chooses the mode: call ``eval()`` first.
        """
        return Tracks.joined(video.id, self.predict_each(video, read or self._read))

    @torch.inference_mode()
    def predict_each(self, video: Video, read: Callable[[Memory], Sequence[Answers]]) -> list[Tracks]:
        if self.inference.tracking == "queries":
            windows = ((memory, read(memory)) for memory in self._windows(video))
            return self.inference.followed(video, windows, self.classes, self.soft_masks, self.draw)
        if long.is_long(len(video), self._pixels(video), self.mean.device):
            with TemporaryDirectory(prefix="cvis-") as folder:
                memory: Memory = long.LongMemory(Path(folder), self._windows(video))
                return self.inference.tracks(video, memory, read(memory), self.classes, self.soft_masks, self.draw)
        memory = self.video_features(video)
        return self.inference.tracks(video, memory, read(memory), self.classes, self.soft_masks, self.draw)

    def _read(self, memory: Memory) -> list[Answers]:
        answer = self._decode(memory, 0, "last")[0]
        scores = no_object.class_probabilities(answer.logits[0])
        return [Answers(scores, answer.mask_embeddings[0], answer.queries[0])]

    def video_features(self, video: Video) -> Memory:
        """:meth:`features` of a whole video [1, T, ...], window by window."""
        return Memory.joined(list(self._windows(video)))

    def _windows(self, video: Video) -> Iterator[Memory]:
        """Of the frames that pass the backbone together; for queries that are followed, of whole windows."""
        device, at_most = self.mean.device, None
        if self.inference.tracking == "none":
            at_most = long.at_once(self._pixels(video), device)
        return (self.features(frames[None].to(device)) for frames in self.inference.frames(video, at_most))

    def _pixels(self, video: Video) -> int:
        """Of a frame after resizing."""
        height, width = self.inference.size(video.height, video.width)
        return height * width

    def track_masks(self, video: Video, tracks: Sequence[Track], memory: Memory) -> Tensor:
        return self.inference.coverage(video, tracks, memory)

    def annotated(self, video: Video, tracks: Sequence[Track]) -> tuple[Tensor, Tensor]:
        frames, masks = self.inference.annotated(video, tracks)
        return frames.to(self.mean.device), masks.to(self.mean.device)

    def map_channels(self) -> list[int]:
        return [self.class_heads.dim] * (self.pixel_decoder.num_outs + 1)

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of Mask2Former for images and for videos, of mmdet and detectron2, and of torchvision's ResNets."""
        return renamed(weights)

    def group(self, index: int) -> QueryGroup:
        member = self.groups[index]
        assert isinstance(member, QueryGroup)
        return member

    def _columns(self, targets: Sequence[Targets]) -> list[Tensor]:
        return target_columns(targets, self.classes)

    def _masks(self, targets: Sequence[Targets]) -> list[Tensor]:
        return target_masks(targets, self.size_divisor)
