"""The analytic head: what frozen features say of a track, by ridge regression on the moments of all classes so far."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from mmengine.dist import get_rank, get_world_size
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from cvis.learners.analytic.pooling import Statistic, describe, lengths_of
from cvis.learners.analytic.ridge import ClassMoments
from cvis.scenario import Task
from cvis.segmenters.contract import AlignedQueries
from cvis.segmenters.outputs import Memory
from cvis.types import Track, Video

ENOUGH = 10
"""Frames of a video to learn from: neighbours say the same, and each passes the backbone."""


class Classifier(NamedTuple):
    """Linear, of K classes."""

    weights: Tensor  # [F, K] double precision
    bias: Tensor  # [K]


class Candidates(NamedTuple):
    """N tracks that may be objects; what they are described by is the same in every step."""

    masks: Tensor  # [N, T, h, w] logits at the size of the mask features
    described: Tensor  # [N, T, F] double precision


class AnalyticHead(nn.Module):
    """Class probabilities of tracks from features that never change, by a classifier that cannot forget.

    What it knows of a class are moments of the descriptions of its annotated tracks, frame by frame, taken once, after
    the step that brings it. The features are the pixel decoder's, for methods that train nothing before the queries
    after step 0, or the backbone's.

    Args:
        channels: that are read of the maps of a :class:`~cvis.segmenters.outputs.Memory`, see :func:`maps_of`.
        statistics: see :func:`~cvis.learners.analytic.pooling.describe`.
        ridge: more than 0, see :func:`~cvis.learners.analytic.ridge.ridge_classifier`; of a feature in proportion to
            the length of its statistic, so that a long one does not drown what a short one says.
        temperature: of the softmax over the regressed values.
    """

    weights: Tensor
    bias: Tensor

    def __init__(
        self, channels: Sequence[int], statistics: Sequence[Statistic], ridge: float, temperature: float
    ) -> None:
        super().__init__()
        self.channels, self.statistics, self.temperature = tuple(channels), tuple(statistics), temperature
        lengths = torch.tensor(lengths_of(channels, statistics))
        self.ridge = (ridge * lengths.double() / lengths.double().mean()).repeat_interleave(lengths)
        self.moments = ClassMoments(len(self.ridge))
        self._solve()

    def grow(self, num_classes: int) -> None:
        """Room for that many more classes; they are answered like no class before :meth:`learn`."""
        self.moments.grow(num_classes)
        self._solve()

    @torch.no_grad()
    def learn(self, task: Task, segmenter: AlignedQueries) -> None:
        """Take the moments of the step's new classes; each process looks at its share of the videos."""
        column = {category: index for index, category in enumerate(segmenter.classes)}
        counts = torch.zeros_like(self.moments.samples)
        together = segmenter.seen_together
        looked = [_looked_at(video, task, together) for video in task.train.videos]
        for tracks, _, seen in looked:
            for track, shown in zip(tracks, seen, strict=True):
                counts[column[track.category_id]] += int(shown.sum())
        before = copy.deepcopy(self.moments)
        share = slice(get_rank(), None, get_world_size())
        for video, (tracks, frames, seen) in zip(task.train.videos[share], looked[share], strict=True):
            if seen.any():
                memory = segmenter.video_features(replace(video, frames=tuple(video.frames[frame] for frame in frames)))
                every = segmenter.track_masks(video, tracks, memory)  # all of them, since they move
                masks = every[:, frames]
                if together is None:
                    described = self.describe(memory, masks, every)
                else:
                    windows = zip(memory.windows(together), masks.split(together, 1), strict=True)
                    described = torch.cat([self.describe(window, some) for window, some in windows], 1)
                columns = torch.tensor([column[track.category_id] for track in tracks])[:, None].expand_as(seen)
                self.moments.add(described[seen.to(described.device)], columns[seen].to(described.device), counts)
        self.moments.merge(before)
        self._solve()

    @property
    def classifier(self) -> Classifier:
        """Of all classes learned by now."""
        return Classifier(self.weights, self.bias)

    def candidates(self, memory: Memory, masks: Tensor) -> Candidates:
        """Tracks that a model proposes, by their mask logits [N, T, h, w], as the head sees them."""
        return Candidates(masks, self.describe(memory, masks > 0).to(self.weights))

    def probabilities(self, candidates: Sequence[Candidates], classifier: Classifier) -> Tensor:
        """Of every class for each of N tracks, mean over the frames in which its mask is not empty: [N, K].

        softmax((x @ weights + bias) / temperature); equal for all classes if the mask is empty in every frame. Never 0,
        times which a score of -inf would be no number.
        """
        weights, bias = classifier
        values = torch.cat([one.described for one in candidates]) @ weights + bias
        seen = torch.cat([one.masks.amax((-2, -1)) > 0 for one in candidates])[..., None]
        frames = (values / self.temperature).softmax(-1).where(seen, 0)
        share = frames.sum(1) / seen.sum(1).clamp(min=1)
        return share.where(seen.any(1), 1 / values.shape[-1]).clamp(min=torch.finfo(torch.float32).tiny)

    def describe(self, memory: Memory, masks: Tensor, every: Tensor | None = None) -> Tensor:
        """[N, T, F] of the tracks of one video (B = 1), by masks in [0, 1] at the size of the mask features.

        Args:
            every: the masks of all frames that are answered together, if T are only some of them.
        """
        return describe(maps_of(memory, self.channels), masks, self.statistics, every)

    def _solve(self) -> None:
        weights, bias = self.moments.classifier(self.ridge)
        self.register_buffer("weights", weights)
        self.register_buffer("bias", bias)


def maps_of(memory: Memory, channels: Sequence[int]) -> list[Tensor]:
    """The maps [T, C, h, w] of one video, the finest last: the backbone's, where a memory keeps them; of each the first
    ``channels``, which were there from the base step on."""
    maps = memory.backbone or (*memory.levels, memory.mask_features)
    return [level[0, :, :first] for level, first in zip(maps, channels, strict=True)]


def _looked_at(video: Video, task: Task, together: int | None) -> tuple[list[Track], list[int], Tensor]:
    """N tracks of the step's new classes, the T frames that the head looks at, and what they show of which: [N, T]."""
    tracks = [t for t in task.train.tracks[video.id] if t.category_id in task.new_classes and not t.iscrowd]
    shown = [_shown(track) for track in tracks]
    frames = chosen_frames(shown, len(video), together or 1)
    return tracks, frames, torch.tensor(shown, dtype=torch.bool).view(len(tracks), len(video))[:, frames]


def chosen_frames(shown: Sequence[Sequence[bool]], length: int, size: int) -> list[int]:
    """All of a short video, and some ``ENOUGH`` of a longer one, spread over the frames that show each track.

    Args:
        shown: of each track, whether the video's frames show it; every track that is shown is shown in what is chosen.
        length: of the video.
        size: of the windows that are chosen whole.

    >>> chosen_frames([[True] * 8 + [False] * 12, [False] * 19 + [True]], 20, 1)
    [0, 2, 4, 5, 7, 19]
    >>> chosen_frames([[True] * 20], 20, 4)
    [4, 5, 6, 7, 12, 13, 14, 15]
    """
    if length <= ENOUGH:
        return list(range(length))
    starts: set[int] = set()
    for track in shown:
        there = [start for start in range(0, length, size) if any(track[start : start + size])]
        most = min(len(there), max(1, ENOUGH // (size * len(shown))))
        starts.update(there[(2 * n + 1) * len(there) // (2 * most)] for n in range(most))
    return [frame for start in sorted(starts) for frame in range(start, min(start + size, length))]


def _shown(track: Track) -> list[bool]:
    """Frame by frame; a mask of no pixel shows nothing."""
    return [rle is not None and int(coco_mask.area(rle)) > 0 for rle in track.segmentations]
