"""From a video on disk to tracks: frames and masks pass in windows, the decoder sees the whole video or a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from cvis.data.frames import read_frames, resized
from cvis.errors import UserError
from cvis.segmenters.encoding import encode_masks
from cvis.segmenters.mask2former.decoder import mask_logits, resize
from cvis.segmenters.mask2former.tracking import QueryTracks
from cvis.segmenters.outputs import Answers, Draw, Memory
from cvis.types import RLE, Track, Tracks, Video

Tracking = Literal["none", "queries"]
Enlarge = Callable[[Tensor, Tensor], Tensor]
"""Logits [n, t, h, w], and the group of queries of each [n] -> [n, t, H, W] at the video's own size."""


@dataclass(frozen=True)
class Inference:
    """How a video is read and its tracks are written.

    Args:
        short_side: frames are resized so that their short side has this many pixels,
        max_side: unless the long side would be longer than this.
        window: frames that pass the backbone, and masks that are resized, at a time.
        top_k: (query, class) pairs kept per video, by score.
        tracking: ``none``: a query is a track, and reads the whole video; ``queries``: it reads a window, and is
            followed to the next one (:class:`~cvis.segmenters.mask2former.tracking.QueryTracks`), so that any length of
            video takes the same memory. The window is part of the answer then.
    """

    short_side: int = 360
    max_side: int = 1333
    window: int = 8
    top_k: int = 10
    tracking: Tracking = "none"

    def __post_init__(self) -> None:
        for name in ("short_side", "max_side", "window", "top_k"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"segmenter.test.{name}: {value!r}: must be a whole number of at least 1")
        if self.tracking not in (known := get_args(Tracking)):
            raise UserError(f"segmenter.test.tracking: {self.tracking!r}: unknown; use one of {', '.join(known)}")

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after resizing; the ratio of the sides is kept."""
        return resized(height, width, self.short_side, self.max_side)

    def frames(self, video: Video, at_most: int | None = None) -> Iterator[Tensor]:
        """Windows of resized frames: uint8 RGB [t, 3, h, w]; smaller ones, if there are to be fewer at a time."""
        height, width = self.size(video.height, video.width)
        window = self.window if at_most is None else min(self.window, at_most)
        for start in range(0, len(video), window):
            paths = video.frames[start : start + window]
            images = read_frames(paths, video.height, video.width)
            if (height, width) != images.shape[1:3]:
                images = np.stack([cv2.resize(image, (width, height)) for image in images])
            yield torch.from_numpy(images).permute(0, 3, 1, 2)

    def annotated(self, video: Video, tracks: Sequence[Track]) -> tuple[Tensor, Tensor]:
        """See :meth:`cvis.segmenters.contract.QueryGroups.annotated`."""
        size = self.size(video.height, video.width)
        masks = torch.zeros(len(tracks), len(video), *size, dtype=torch.bool)
        for row, track in zip(masks, tracks, strict=True):
            for frame, rle in zip(row, track.segmentations, strict=True):
                if rle is not None:
                    frame.copy_(_share(rle, size)[0, 0] > 0.5)
        return torch.cat(list(self.frames(video))), masks

    def coverage(self, video: Video, tracks: Sequence[Track], memory: Memory) -> Tensor:
        """The share of each pixel of the mask features that each of N annotated tracks covers: [N, T, h, w]."""
        height, width = self.size(video.height, video.width)
        covered = torch.zeros(len(tracks), len(video), *memory.mask_features.shape[-2:])
        for row, track in zip(covered, tracks, strict=True):
            for frame, rle in zip(row, track.segmentations, strict=True):
                if rle is not None:
                    padded = torch.zeros(1, 1, *memory.size)
                    padded[..., :height, :width] = _share(rle, (height, width))
                    frame.copy_(F.interpolate(padded, frame.shape, mode="area")[0, 0])
        return covered.to(memory.mask_features.device)

    def tracks(
        self,
        video: Video,
        memory: Memory,
        answers: Sequence[Answers],
        classes: Sequence[int],
        soft_masks: bool = False,
        draw: Draw | None = None,
    ) -> list[Tracks]:
        """The ``top_k`` best pairs of a query and a class of each of the ``answers``.

        Args:
            memory: of the whole video (B = 1), or one that lies on disk.
            classes: data-set ids of the columns of the scores; an answer may have the first of them only.
            soft_masks: see :class:`~cvis.segmenters.contract.AlignedQueries`; shared among the queries of an answer.
            draw: see there, too.
        """
        pairs = [self._pairs(answer.scores) for answer in answers]
        kept = [queries.unique(return_inverse=True) for _, queries, _ in pairs]
        asked = [(answer, queries) for answer, (queries, _) in zip(answers, kept, strict=True)]
        found = self._masks(video, memory, asked, soft_masks, draw)
        return [
            _named(video, values, columns, classes, [masks[index] for index in place.tolist()])
            for (values, _, columns), (_, place), masks in zip(pairs, kept, found, strict=True)
        ]

    def followed(
        self,
        video: Video,
        windows: Iterable[tuple[Memory, Sequence[Answers]]],
        classes: Sequence[int],
        soft_masks: bool = False,
        draw: Draw | None = None,
    ) -> list[Tracks]:
        """As :meth:`tracks`, of windows that were read on their own, one after the other.

        Of every window and answer, the ``top_k`` queries with the best scores have masks.
        """
        lists: list[QueryTracks] = []
        start = 0
        for memory, answers in windows:
            lists = lists or [QueryTracks() for _ in answers]
            asked = []
            for answer in answers:
                best = answer.scores.amax(-1) if classes else answer.scores.sum(-1)
                asked.append((answer, best.topk(min(self.top_k, len(best))).indices))
            found = self._masks(video, memory, asked, soft_masks, draw, start)
            start += memory.mask_features.shape[1]
            for tracks, answer, (_, kept), masks in zip(lists, answers, asked, found, strict=True):
                tracks.add(answer, dict(zip(kept.tolist(), masks, strict=True)), memory.mask_features.shape[1])
        named = []
        for tracks in lists:
            values, queries, columns = self._pairs(tracks.scores)
            named.append(_named(video, values, columns, classes, [tracks.masks[query] for query in queries.tolist()]))
        return named

    def _pairs(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ``top_k`` best scores of [Q, K], with their queries and columns."""
        values, pairs = scores.flatten().topk(min(self.top_k, scores.numel()))
        values, pairs = values[values != -torch.inf], pairs[values != -torch.inf]
        num_classes = max(scores.shape[-1], 1)
        return values, pairs // num_classes, pairs % num_classes

    def _masks(
        self,
        video: Video,
        memory: Memory,
        asked: Sequence[tuple[Answers, Tensor]],
        soft_masks: bool,
        draw: Draw | None,
        start: int = 0,
    ) -> list[list[list[RLE | None]]]:
        """Masks at the video's own size: for each (answer, kept queries [n]), n x frames of the memory.

        Args:
            start: which of the video's frames is the memory's first.
        """
        found: list[list[list[RLE | None]]] = [[[] for _ in kept] for _, kept in asked]
        for window in memory.windows(self.window):
            features = window.mask_features
            enlarge = self._enlarge(video, window, draw, start)
            start += features.shape[1]
            some = [slice(None) if soft_masks else kept for _, kept in asked]
            embeddings = [answer.mask_embeddings[rows] for (answer, _), rows in zip(asked, some, strict=True)]
            groups = [answer.group_of[rows] for (answer, _), rows in zip(asked, some, strict=True)]
            logits = [mask_logits(rows[None].to(features.dtype), features)[0].float() for rows in embeddings]
            if soft_masks:
                masks = [
                    _encoded(enlarge(*every).softmax(0)[kept] > 0.5)
                    for every, (_, kept) in zip(zip(logits, groups, strict=True), asked, strict=True)
                ]
            else:
                masks = self._sharp(logits, groups, enlarge)
            for tracks, windows in zip(found, masks, strict=True):
                for track, frames in zip(tracks, windows, strict=True):
                    track.extend(frames)
        return found

    def _sharp(
        self, logits: Sequence[Tensor], groups: Sequence[Tensor], enlarge: Enlarge
    ) -> list[list[list[RLE | None]]]:
        """Of logits [n, t, h, w], those that several steps have in common once: most are of the same queries."""
        rows, of_group = torch.cat(list(logits)), torch.cat(list(groups))
        place = torch.arange(len(rows))
        if len(logits) > 1 and len(rows):
            both, place = torch.cat([rows.flatten(1), of_group[:, None].to(rows)], 1).unique(dim=0, return_inverse=True)
            rows, of_group = both[:, :-1].view(-1, *rows.shape[1:]), both[:, -1].to(of_group)
        parts = zip(rows.split(self.top_k), of_group.split(self.top_k), strict=True)
        masks = [each for part in parts for each in _encoded(enlarge(*part) > 0)]
        whose = iter(place.tolist())
        return [[masks[next(whose)] for _ in every] for every in logits]

    def _enlarge(self, video: Video, memory: Memory, draw: Draw | None, start: int) -> Enlarge:
        """How the masks of this memory come to the video's own size."""
        height, width = self.size(video.height, video.width)
        frames = None
        if draw is not None:
            part = replace(video, frames=video.frames[start : start + memory.mask_features.shape[1]])
            frames = torch.cat(list(self.frames(part))).to(memory.mask_features.device)

        def enlarge(logits: Tensor, groups: Tensor) -> Tensor:
            if not len(logits):
                return logits.new_zeros(len(logits), logits.shape[1], video.height, video.width)
            if draw is None or frames is None:
                resized = resize(logits, memory.size)[:, :, :height, :width]
            else:
                resized = draw(logits, frames, memory.size, groups)
            return resize(resized, (video.height, video.width))

        return enlarge


def _share(rle: RLE, size: tuple[int, int]) -> Tensor:
    """Which part of each pixel of a frame of that size an annotated mask covers: [1, 1, H, W]."""
    return F.interpolate(torch.from_numpy(coco_mask.decode(rle)).float()[None, None], size, mode="area")


def _encoded(inside: Tensor) -> list[list[RLE | None]]:
    """Of masks [n, t, H, W], n x t."""
    masks, frames = encode_masks(inside.flatten(0, 1)), inside.shape[1]
    return [masks[start : start + frames] for start in range(0, len(masks), frames)]


def _named(
    video: Video, values: Tensor, columns: Tensor, classes: Sequence[int], masks: Sequence[Sequence[RLE | None]]
) -> Tracks:
    ids = tuple(classes[column] for column in columns.tolist())
    return Tracks(video.id, ids, tuple(values.tolist()), tuple(map(tuple, masks)))
