"""From a video on disk to tracks: frames and masks pass in windows, the decoder sees the whole video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from cvis.data.frames import read_frames, resized
from cvis.data.rle import encode
from cvis.errors import UserError
from cvis.segmenters.mask2former.decoder import mask_logits, resize
from cvis.segmenters.outputs import Answers, Memory
from cvis.types import RLE, Track, Tracks, Video


@dataclass(frozen=True)
class Inference:
    """How a video is read and its tracks are written.

    Args:
        short_side: frames are resized so that their short side has this many pixels,
        max_side: unless the long side would be longer than this.
        window: frames that pass the backbone, and masks that are resized, at a time.
        top_k: (query, class) pairs kept per video, by score.
    """

    short_side: int = 360
    max_side: int = 1333
    window: int = 8
    top_k: int = 10

    def __post_init__(self) -> None:
        for name in ("short_side", "max_side", "window", "top_k"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"segmenter.test.{name}: {value!r}: must be a whole number of at least 1")

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after resizing; the ratio of the sides is kept."""
        return resized(height, width, self.short_side, self.max_side)

    def frames(self, video: Video) -> Iterator[Tensor]:
        """Windows of resized frames: uint8 RGB [t, 3, h, w]."""
        height, width = self.size(video.height, video.width)
        for start in range(0, len(video), self.window):
            paths = video.frames[start : start + self.window]
            images = read_frames(paths, video.height, video.width)
            if (height, width) != images.shape[1:3]:
                images = np.stack([cv2.resize(image, (width, height)) for image in images])
            yield torch.from_numpy(images).permute(0, 3, 1, 2)

    def coverage(self, video: Video, tracks: Sequence[Track], memory: Memory) -> Tensor:
        """The share of each pixel of the mask features that each of N annotated tracks covers: [N, T, h, w]."""
        height, width = self.size(video.height, video.width)
        covered = torch.zeros(len(tracks), len(video), *memory.mask_features.shape[-2:])
        for row, track in zip(covered, tracks, strict=True):
            for frame, rle in zip(row, track.segmentations, strict=True):
                if rle is not None:
                    mask = torch.from_numpy(coco_mask.decode(rle)).float()[None, None]
                    padded = torch.zeros(1, 1, *memory.size)
                    padded[..., :height, :width] = F.interpolate(mask, (height, width), mode="area")
                    frame.copy_(F.interpolate(padded, frame.shape, mode="area")[0, 0])
        return covered.to(memory.mask_features.device)

    def tracks(
        self,
        video: Video,
        memory: Memory,
        answers: Sequence[Answers],
        classes: Sequence[int],
        soft_masks: bool = False,
    ) -> Tracks:
        """The ``top_k`` best pairs of a query and a class of each of the ``answers``, one list behind the other.

        Args:
            memory: of the whole video (B = 1).
            classes: data-set ids of the K columns of the scores.
            soft_masks: see :class:`~cvis.segmenters.contract.AlignedQueries`; shared among the queries of an answer.
        """
        lists = [self._best(video, memory, answer, classes, soft_masks) for answer in answers]
        if len(lists) == 1:
            return lists[0]
        return Tracks(
            video.id,
            tuple(category for tracks in lists for category in tracks.category_ids),
            tuple(score for tracks in lists for score in tracks.scores),
            tuple(masks for tracks in lists for masks in tracks.segmentations),
        )

    def _best(self, video: Video, memory: Memory, answers: Answers, classes: Sequence[int], soft_masks: bool) -> Tracks:
        values, pairs = answers.scores.flatten().topk(min(self.top_k, answers.scores.numel()))
        values, pairs = values[values != -torch.inf], pairs[values != -torch.inf]
        queries, columns = pairs // max(len(classes), 1), pairs % max(len(classes), 1)
        kept, place = queries.unique(return_inverse=True)
        masks = self._masks(video, memory, answers.mask_embeddings, kept, soft_masks) if len(kept) else []
        return Tracks(
            video.id,
            tuple(classes[column] for column in columns.tolist()),
            tuple(values.tolist()),
            tuple(tuple(masks[index]) for index in place.tolist()),
        )

    def _masks(
        self, video: Video, memory: Memory, embeddings: Tensor, kept: Tensor, soft_masks: bool
    ) -> list[list[RLE | None]]:
        """Masks of the n ``kept`` queries at the video's own size, n x frames."""
        height, width = self.size(video.height, video.width)
        tracks: list[list[RLE | None]] = [[] for _ in kept]
        asked = embeddings if soft_masks else embeddings[kept]
        for start in range(0, len(video), self.window):
            features = memory.mask_features[:, start : start + self.window]
            logits = mask_logits(asked[None].to(features.dtype), features)[0].float()
            logits = resize(resize(logits, memory.size)[:, :, :height, :width], (video.height, video.width))
            inside = logits.softmax(0)[kept] > 0.5 if soft_masks else logits > 0
            masks = inside.cpu().numpy()
            for track, frames in zip(tracks, masks, strict=True):
                track.extend(encode(frame) for frame in frames)
        return tracks
