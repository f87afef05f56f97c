"""The space-time pyramid (Zhang, "Video instance segmentation with space-time pyramid features and attention")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.backbone import build_backbone
from cvis.segmenters.background import class_probabilities, is_no_object
from cvis.segmenters.contract import Classify, ClassSlots, ClipTracks
from cvis.segmenters.fpn import FPN
from cvis.segmenters.framewise import Framewise
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.inputs import part, target_columns, target_masks
from cvis.segmenters.mask2former.criterion import softmax_cross_entropy
from cvis.segmenters.mask2former.decoder import resize
from cvis.segmenters.outputs import Maps, Memory, ProposedTracks
from cvis.segmenters.registry import SEGMENTERS
from cvis.segmenters.st_pyramid.clustering import Clustering, Clusters
from cvis.segmenters.st_pyramid.criterion import Criterion
from cvis.segmenters.st_pyramid.inference import Inference
from cvis.segmenters.st_pyramid.pixels import Pixels, coordinates
from cvis.segmenters.st_pyramid.pyramid import SpaceTimePyramid
from cvis.segmenters.stitching import Stitcher
from cvis.segmenters.weights import renamed
from cvis.types import Clip, Targets, Tracks, Video

EMBEDDINGS = {"xyff": (4, 2), "ffff": (4, 4)}
"""Dimensions, and how many of them, the first ones, have a bandwidth of their own."""

MASK_RCNN_NAMES = (
    (r"^neck\.lateral_convs\.(\d)\.conv\.", r"neck.laterals.\1."),
    (r"^neck\.fpn_convs\.(\d)\.conv\.", r"neck.outputs.\1."),
)
"""What mmdet calls the feature pyramid."""


@SEGMENTERS.register_module(name="st_pyramid")
class STPyramid(Framewise, ClassSlots, ClipTracks):
    """Space-time pyramid with attention: no queries and no proposals, a pixel's embedding says whose it is.

    Backbone and feature pyramid frame by frame, then a pyramid in space and time with CBAM at each scale, one map of a
    quarter of the frame, and linear heads: embedding, bandwidths, centre heat, classes. Instances are Gaussian clusters
    of embeddings; clips that overlap are stitched. Clips may have any length.

    Args:
        backbone: ``dict(type="ConvBackbone", ...)`` or a backbone of mmdet by its own config.
        in_channels: of the backbone's levels, fine to coarse.
        dim: channels of the feature pyramid.
        pyramid: ``widths``, ``squeezes``, ``norm``, ``reduction``, ``attention`` of :class:`SpaceTimePyramid`.
        num_frames: T, frames of a clip in testing; half of them are the next one's too (``test.overlap``).
        embedding_mode: ``xyff``: a pixel's place (y, x) plus an offset, and two free dimensions; ``ffff``: four free
            ones. The paper does not say; without places a convolutional model gives two objects that look the same
            the same embedding.
        coordinate_unit: pixels of the frame that count 1 in the space of embeddings; half a frame's width is right.
        output_stride: pixels of the frame for one of those of the answer, which losses and clusters are of: 1 as
            published; 4 is the finest map's own.
        background_channel: a class score more, for pixels of no class, and the cross entropy of every pixel in place
            of the one of every instance: what MiB needs. Without it, as published.
        class_head: ``linear`` or ``mlp``.
        criterion: arguments of :class:`Criterion`.
        clustering: arguments of :class:`Clustering`.
        test: arguments of :class:`Inference`.
        mean, std: of RGB in 0..255.
        size_divisor: frames are padded with zeros, after normalisation, to a multiple of it.
        weights: URLs of known initial weights by name, see :func:`load_init`.
    """

    new_weights = ("class_heads.", "head.", "neck.", "pyramid.")
    variants = ("comformer", "balconpas")
    static_graph = True

    def __init__(
        self,
        backbone: dict,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        dim: int = 256,
        pyramid: dict | None = None,
        num_frames: int = 8,
        embedding_mode: Literal["xyff", "ffff"] = "xyff",
        coordinate_unit: float = 600.0,
        output_stride: int = 1,
        background_channel: bool = False,
        class_head: str = "linear",
        criterion: dict | None = None,
        clustering: dict | None = None,
        test: dict | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        size_divisor: int = 32,
        weights: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        if embedding_mode not in EMBEDDINGS:
            raise UserError(f"segmenter.embedding_mode: {embedding_mode!r}: unknown; use {' or '.join(EMBEDDINGS)}")
        if output_stride < 1 or size_divisor % output_stride:
            what = f"segmenter.output_stride: {output_stride}: must divide the size_divisor, {size_divisor}"
            raise UserError(f"{what}; use 1 or a power of two")
        self.embedding_mode, self.coordinate_unit = embedding_mode, coordinate_unit
        self.num_frames, self.output_stride = num_frames, output_stride
        self.background_channel = background_channel
        self.weights = dict(weights or {})
        self.set_input(mean, std, size_divisor)
        self.backbone = build_backbone(backbone)
        self.neck = FPN(in_channels, dim)
        self.pyramid = part("pyramid", SpaceTimePyramid, pyramid, dim)
        if len(self.pyramid.encoders) != len(in_channels):
            what = f"segmenter.pyramid.widths: {len(self.pyramid.encoders)} scales for {len(in_channels)} levels"
            raise UserError(f"{what}; give a width and a number of squeezes for each of segmenter.in_channels")
        width = self.pyramid.width
        self.head = nn.Linear(width, sum(EMBEDDINGS[embedding_mode]) + 1)  # a 1x1x1 convolution
        self.class_heads = ClassHeads(width, class_head, "column" if background_channel else "sigmoid")
        if not background_channel:
            key = "segmenter.background_channel=true"
            self.switched_off = {ClassSlots: key}  # type: ignore[type-abstract]  # mypy takes no abstract class for a type
        self._criterion = part("criterion", Criterion, criterion)
        self.clustering = part("clustering", Clustering, clustering)
        self.inference = part("test", Inference, test)
        self.inference.shared(num_frames)  # refuses an overlap that does not fit

    def encode(self, maps: Maps) -> Memory:
        """Both pyramids; ``mask_features`` is the one map that they end in."""
        levels = [level.unflatten(0, (-1, maps.length)).transpose(1, 2) for level in self.neck(maps.levels)]
        return Memory((), self.pyramid(levels).transpose(1, 2), maps.size)

    def answers(self, memory: Memory) -> list[Pixels]:
        """The one prediction layer."""
        features = memory.mask_features
        size = (features.shape[1], memory.size[0] // self.output_stride, memory.size[1] // self.output_stride)
        with torch.autocast(features.device.type, enabled=False):  # bf16 would tie scores and blur places
            features = features.to(torch.promote_types(features.dtype, torch.float32))
            if features.shape[-2:] != size[1:]:
                last = features.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # no copy of the large one
                features = resize(last, size[1:]).unflatten(0, features.shape[:2])
            features = features.movedim(2, -1).flatten(1, 3)  # [B, N, D]
            dimensions, learned = EMBEDDINGS[self.embedding_mode]
            own = self.head(features).transpose(1, 2)
            embeddings, bandwidths, heat = own.split((dimensions, learned, 1), dim=1)
            embeddings = (embeddings / 4).tanh()
            if learned < dimensions:
                places = coordinates(size, self.output_stride, self.coordinate_unit, embeddings)
                embeddings = torch.cat([embeddings[:, :learned] + places, embeddings[:, learned:]], dim=1)
            logits = self.class_heads(features)
            return [Pixels(logits, features, embeddings, bandwidths, heat[:, 0].sigmoid(), size)]

    def criterion(
        self,
        outputs: Sequence[Pixels],
        targets: Sequence[Targets],
        classify: Classify | Sequence[Classify] | None = None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """See :class:`Criterion`.

        Raises:
            UserError: a target of a class that has no column here: the data leaked it.
        """
        (pixels,) = outputs
        of_pixels = classify[0] if isinstance(classify, Sequence) else classify
        if self.background_channel:
            of_pixels = of_pixels or softmax_cross_entropy
        columns, masks = target_columns(targets, self.classes), target_masks(targets, self.size_divisor)
        return self._criterion(pixels, columns, masks, of_pixels, class_weight)

    @torch.no_grad()
    def clip_tracks(self, clip: Clip, maps: Maps | None = None) -> list[ProposedTracks]:
        memory = self.memory_of(clip, maps)
        (pixels,) = self.answers(memory)
        height, width = clip.frames.shape[-2:]
        tracks = []
        for row in range(len(pixels.logits)):
            clusters = self._clusters(pixels, row)
            masks = resize(clusters.masks.clamp(max=1), memory.size)[..., :height, :width]
            proposed = ProposedTracks(self._scores(clusters), masks)
            if self.background_channel:
                of_class = ~is_no_object(clusters.logits.argmax(-1), clusters.logits)
                proposed = ProposedTracks(*(each[of_class] for each in proposed))
            tracks.append(proposed)
        return tracks

    @torch.inference_mode()
    def predict(self, video: Video) -> Tracks:
        """Find the tracks of one video, window by window."""
        stitcher = Stitcher(self.inference.min_iou)
        for start, frames in self.inference.windows(video, self.num_frames, None) if self.classes else ():
            memory = self.features(frames[None].to(self.mean.device))
            (pixels,) = self.answers(memory)
            clusters = self._clusters(pixels, 0)
            found = self.inference.found(
                start, self._scores(clusters), clusters, memory.size, self.clustering.min_probability, video
            )
            stitcher.add(start, start + len(frames), found)
        return self.inference.named(video, stitcher.found, self.classes)

    def _clusters(self, pixels: Pixels, row: int) -> Clusters:
        return self.clustering(pixels, row, self._criterion.normalised)

    def _scores(self, clusters: Clusters) -> Tensor:
        """[J, K]: how sure the centre is, times the class's probability."""
        logits = clusters.logits
        probabilities = class_probabilities(logits) if self.background_channel else logits.softmax(-1)
        return clusters.heat[:, None] * probabilities

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of mmdet's Mask R-CNN, backbone and feature pyramid, and of torchvision's ResNets."""
        kept = {k: v for k, v in weights.items() if not k.startswith(("rpn_head.", "roi_head."))}
        return renamed(kept, MASK_RCNN_NAMES)
