"""From a video on disk to tracks: windows as long as a clip, a vote for each slot's class, and stitching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.encoding import encode_masks
from cvis.segmenters.mask2former.decoder import resize
from cvis.segmenters.stitching import Found
from cvis.segmenters.windowed import Windowed
from cvis.types import RLE, Video


@dataclass(frozen=True)
class Inference(Windowed):
    """How a video is read and its tracks are written.

    Args:
        short_side, max_side, overlap, min_iou, top_k: see :class:`~cvis.segmenters.windowed.Windowed`.
        min_probability: of the best class; in a frame where a slot has less, it has no mask.
    """

    min_probability: float = 0.001

    def found(
        self, start: int, scores: Tensor, masks: Tensor, padded: Sequence[int], video: Video, soft_masks: bool
    ) -> list[Found]:
        """The slots of a window; the class of one is what most of its frames say is best.

        Args:
            scores: [t, n, K], the classes' probabilities, K of at least 1.
            masks: [t, n, h, w] logits; a pixel is inside where its probability is more than one half.
            padded: height and width of the padded frames.
            soft_masks: see :class:`~cvis.segmenters.contract.AlignedQueries`; shared among the slots of a frame.
        """
        best, columns = scores.max(-1)
        votes = F.one_hot(columns, scores.shape[-1]).sum(0)
        chosen = (votes + scores.mean(0) / 2).argmax(-1)  # the greater mean where votes are equal
        height, width = self._reader(1).size(video.height, video.width)
        encoded: list[list[RLE | None]] = [[] for _ in chosen]
        for sure, logits in zip(best >= self.min_probability, masks, strict=True):
            large = resize(logits[None].float(), padded)[..., :height, :width]
            large = resize(large, (video.height, video.width))[0]
            inside = large.softmax(0) > 0.5 if soft_masks else large > 0
            for frames, mask in zip(encoded, encode_masks(inside & sure[:, None, None]), strict=True):
                frames.append(mask)
        rows = zip(chosen.tolist(), best.T.tolist(), encoded, strict=True)
        return [Found(start, column, frames, of_frames) for column, frames, of_frames in rows]
