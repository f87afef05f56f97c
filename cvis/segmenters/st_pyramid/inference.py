"""From clusters of pixels to tracks: masks at the video's size, stitching by overlap alone, and one class for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvis.segmenters.encoding import encode_masks
from cvis.segmenters.mask2former.decoder import resize
from cvis.segmenters.st_pyramid.clustering import Clusters
from cvis.segmenters.stitching import Found
from cvis.segmenters.windowed import Windowed
from cvis.types import Tracks, Video

ANY_CLASS = 0
"""The column of all that is found in a window: which class it is, all windows say together."""


@dataclass(frozen=True)
class Inference(Windowed):
    """How a video is read and its tracks are written.

    Args:
        short_side, max_side, min_iou, top_k: see :class:`~cvis.segmenters.windowed.Windowed`.
        overlap: frames that two windows share; None: half of a window.
    """

    short_side: int = 640
    max_side: int = 1196

    def shared(self, size: int) -> int:
        return replace(self, overlap=size // 2).shared(size) if self.overlap is None else super().shared(size)

    def found(
        self, start: int, scores: Tensor, clusters: Clusters, padded: Sequence[int], threshold: float, video: Video
    ) -> list[Found]:
        """The instances of a window.

        Args:
            scores: [J, K], of each class.
            padded: height and width of the padded frames.
            threshold: a pixel is inside where p, brought to the video's size, is greater.
        """
        height, width = self._reader(1).size(video.height, video.width)
        found = []
        for score, p in zip(scores.cpu(), clusters.masks, strict=True):
            large = resize(resize(p[:, None], padded)[..., :height, :width], (video.height, video.width))[:, 0]
            masks = encode_masks(large > threshold)
            found.append(Found(start, ANY_CLASS, [score if mask else None for mask in masks], masks))
        return found

    def named(self, video: Video, found: Sequence[Found], classes: Sequence[int]) -> Tracks:
        """Of the means over the frames that show an instance, the greatest is its score, and says its class."""
        tracks = []
        for track in found:
            shown = [score for score in track.scores if score is not None]
            if shown:
                score, column = torch.stack(shown).mean(0).max(0)
                tracks.append(Found(track.start, int(column), [float(score)], track.masks))
        return self.tracks(video, tracks, classes)
