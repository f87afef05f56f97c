"""CrossVIS (Yang et al., "Crossover Learning for Fast Online Video Instance Segmentation", ICCV 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.backbone import build_backbone
from cvis.segmenters.background import Background
from cvis.segmenters.contract import Classify, ClassSlots, ClipTracks
from cvis.segmenters.crossvis.assignment import seen
from cvis.segmenters.crossvis.checkpoint_names import renamed
from cvis.segmenters.crossvis.criterion import Criterion
from cvis.segmenters.crossvis.head import Head, begin_improbable
from cvis.segmenters.crossvis.inference import Follower, Inference
from cvis.segmenters.crossvis.layers import enlarged
from cvis.segmenters.crossvis.masks import count_parameters, dynamic_masks
from cvis.segmenters.crossvis.outputs import Grid, Locations
from cvis.segmenters.crossvis.pyramid import MaskBranch, Pyramid
from cvis.segmenters.crossvis.tracker import Tracker
from cvis.segmenters.framewise import Framewise
from cvis.segmenters.heads import ClassHeads
from cvis.segmenters.inputs import part, target_columns, target_masks
from cvis.segmenters.outputs import Maps, Memory, ProposedTracks
from cvis.segmenters.registry import SEGMENTERS
from cvis.types import Clip, Targets, Tracks, Video


@SEGMENTERS.register_module(name="crossvis")
class CrossVIS(Framewise, ClassSlots, ClipTracks):
    """CrossVIS (arXiv 2104.05970): CondInst on every frame, crossover learning between frames, an online tracker.

    Every location of a feature pyramid says which classes it sees, where, by which filters its mask is found, and how
    its object is known again. Clips have two frames as published, or any number: crossover is between neighbours.

    Args:
        backbone: ``dict(type="ConvBackbone", ...)`` or a backbone of mmdet by its own config.
        in_channels, strides: of the backbone's levels that the pyramid reads, fine to coarse.
        dim: channels of the pyramid.
        extra: coarser levels on top of these, each of twice the stride.
        skip: how many of the finest levels only the mask branch reads.
        sizes_of_interest: of each level of the head in pixels: the longest distance from a location to a side of its
            box; beyond the last the coarsest level answers. Coordinates of masks are in this unit.
        head: ``convs``, ``norm_groups``, ``embedding`` of :class:`Head`.
        mask_branch: ``width``, ``channels``, ``levels``, ``convs``, ``norm``, ``norm_groups`` of :class:`MaskBranch`.
        mask_factor: masks are so many times finer than the finest level.
        num_identities: N, of the classifier that teaches embeddings: at least the tracks of the training set of any
            step. It begins anew with every step.
        feature_gradient: of the head and the mask branch, what reaches pyramid and backbone: 0.1 (released code; the
            paper does not say so, which is 1).
        criterion: arguments of :class:`Criterion`.
        test: arguments of :class:`Inference`.
        mean, std: of RGB in 0..255.
        size_divisor: frames are padded with zeros, after normalisation, to a multiple of it.
        weights: URLs of known initial weights by name, see :func:`load_init`.

    Deviations:
        - The last convolution of the class tower is 1x1, not 3x3: a step's classes are a head of the slots' features.
        - Embeddings pass no batch norm: what a frame is said to show does not depend on others.
        - The batch norm of the mask branch keeps the statistics of its checkpoint.
    """

    new_weights = ("class_heads.", "head.identity_tower.", "head.embedding.", "identities.")
    of_step = ("identities.",)
    background: ClassVar[Background] = "sigmoid"
    variants = ("mib", "comformer", "balconpas")
    static_graph = True

    def __init__(
        self,
        backbone: dict,
        in_channels: Sequence[int] = (512, 1024, 2048),
        strides: Sequence[int] = (8, 16, 32),
        dim: int = 256,
        extra: int = 2,
        skip: int = 0,
        sizes_of_interest: Sequence[float] = (64, 128, 256, 512, 1024),
        head: dict | None = None,
        mask_branch: dict | None = None,
        mask_factor: int = 2,
        num_identities: int = 8192,
        feature_gradient: float = 0.1,
        criterion: dict | None = None,
        test: dict | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        size_divisor: int = 32,
        weights: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.strides = [*strides, *(strides[-1] * 2**level for level in range(1, extra + 1))]
        if len(sizes_of_interest) != len(self.strides) - skip:
            said = f"segmenter.sizes_of_interest: {tuple(sizes_of_interest)}"
            raise UserError(f"{said}: the head has {len(self.strides) - skip} levels; give each its size")
        if num_identities < 3:
            raise UserError(
                f"segmenter.num_identities: {num_identities}: must be at least 3; give all tracks of a step"
            )
        self.skip, self.sizes_of_interest = skip, sizes_of_interest
        self.mask_factor, self.feature_gradient = mask_factor, feature_gradient
        self.weights = dict(weights or {})
        self.set_input(mean, std, size_divisor)
        self.backbone = build_backbone(backbone)
        self.pyramid = Pyramid(in_channels, dim, extra)
        self.mask_branch = part("mask_branch", MaskBranch, mask_branch, dim)
        parameters = count_parameters(self.mask_branch.channels)
        self.head = part("head", Head, head, dim, len(sizes_of_interest), parameters)
        self.class_heads = ClassHeads(dim, background=self.background)
        self.identities = nn.Linear(self.head.embedding.out_channels, num_identities)
        self._criterion = part("criterion", Criterion, criterion)
        self.inference = part("test", Inference, test)

    @property
    def window(self) -> int | None:
        return self.inference.window

    @window.setter
    def window(self, frames: int | None) -> None:
        assert frames is not None
        self.inference = replace(self.inference, window=frames)

    def encode(self, maps: Maps) -> Memory:
        """The pyramid and the mask branch, frame by frame."""
        levels = self.pyramid(maps.levels)
        share = self.feature_gradient
        if share != 1:
            levels = [share * level + (1 - share) * level.detach() for level in levels]
        features = self.mask_branch(levels).unflatten(0, (-1, maps.length))
        return Memory(tuple(level.unflatten(0, (-1, maps.length)) for level in reversed(levels)), features, maps.size)

    def answers(self, memory: Memory) -> list[Locations]:
        levels = [level.flatten(0, 1) for level in reversed(memory.levels)][self.skip :]
        wide = (value.to(torch.promote_types(value.dtype, torch.float32)) for value in self.head(levels))
        features, sides, centreness, filters, embeddings = wide
        grid = Grid.of(levels, self.strides[self.skip :], self.sizes_of_interest)
        batch, frames = memory.mask_features.shape[:2]
        slots = features.reshape(batch, -1, features.shape[-1])
        with torch.autocast(slots.device.type, enabled=False):  # bf16 logits would tie scores
            logits = self.class_heads(slots)
        maps = memory.mask_features.flatten(0, 1).to(filters)
        return [Locations(logits, slots, sides, centreness, filters, embeddings, maps, grid, frames)]

    def criterion(
        self,
        outputs: Sequence[Locations],
        targets: Sequence[Targets],
        classify: Classify | Sequence[Classify] | None = None,
        class_weight: float | None = None,
    ) -> dict[str, Tensor]:
        """See :class:`Criterion`.

        Raises:
            UserError: a target of a class that has no column here: the data leaked it; or more identities than N.
        """
        (output,) = outputs
        if isinstance(classify, Sequence):
            (classify,) = classify
        columns, masks = target_columns(targets, self.classes), target_masks(targets, self.size_divisor)
        with torch.autocast(output.logits.device.type, enabled=False):
            shown = seen(targets, columns, masks, self._criterion.centre == "mask")
            return self._criterion(
                output, shown, self.identities, self.strides[0], self.mask_factor, classify, class_weight
            )

    @torch.no_grad()
    def clip_tracks(self, clip: Clip, maps: Maps | None = None) -> list[ProposedTracks]:
        """The detections of a clip's frames that are sure enough, followed as in a video."""
        (output,) = self.answers(self.memory_of(clip, maps))
        time, _, height, width = clip.frames.shape[1:]
        proposals = []
        for first in range(0, len(output.sides), time):
            tracker = Tracker(self.inference.new_below)
            followed = []
            for frame in range(first, first + time):
                found = self.inference.detect(output, frame, self.inference.sure)
                followed.append((tracker.step(found), self._masks(output, frame, found.locations)))
            masks = output.mask_features.new_zeros(len(tracker.tracks), time, height, width, dtype=torch.float32)
            for index, (numbers, logits) in enumerate(followed):
                rows = [row for row, number in enumerate(numbers) if number >= 0]
                large = logits[rows, :height, :width].float().sigmoid()
                masks[[numbers[row] for row in rows], index] = large
            means = [track.probabilities / track.frames for track in tracker.tracks]
            probabilities = torch.stack(means) if means else torch.zeros(0, len(self.classes))
            proposals.append(ProposedTracks(probabilities.to(masks), masks))
        return proposals

    def _masks(self, output: Locations, frame: int, locations: Tensor) -> Tensor:
        """Logits [n, H, W] of some locations of a frame, at the size of the padded frame."""
        rows = locations.to(output.sides.device)
        masks = dynamic_masks(
            output.filters[frame, rows],
            output.grid.points[rows],
            output.grid.interest[rows],
            torch.full_like(rows, frame),
            output.mask_features,
            self.strides[0],
            self.mask_factor,
        )
        return enlarged(masks, self.strides[0] // self.mask_factor)

    @torch.inference_mode()
    def predict(self, video: Video) -> Tracks:
        """Follow the objects of one video, of any length in the memory of a window."""
        follower, time = Follower(self.inference, video), 0
        for frames in self.inference.frames(video):
            (output,) = self.answers(self.features(frames[None].to(self.mean.device)))
            for frame in range(len(frames)):
                found = self.inference.detect(output, frame, self.inference.min_score)
                follower.add(time, found, self._masks(output, frame, found.locations))
                time += 1
        return follower.best(self.classes)

    def grow(self, num_classes: int, init: str = "default", head: nn.Module | None = None) -> None:
        """Also the identities begin anew: they are of the training set of the step before."""
        super().grow(num_classes, init, head)
        begin_improbable(self.identities)

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of CondInst, mmdet's and AdelaiDet's, and of torchvision's ResNets."""
        return renamed(weights)
