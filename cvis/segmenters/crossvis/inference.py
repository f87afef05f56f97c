"""From a video on disk to tracks, online: every frame is detected by itself, and its masks are coded at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from cvis.errors import UserError
from cvis.segmenters.crossvis.outputs import Locations
from cvis.segmenters.crossvis.tracker import Detections, Tracker
from cvis.segmenters.encoding import encode_masks
from cvis.segmenters.mask2former.decoder import resize
from cvis.segmenters.mask2former.inference import Inference as Reader
from cvis.types import RLE, Tracks, Video


@dataclass(frozen=True)
class Inference:
    """How a video is read, its objects found and followed, and its tracks written.

    Args:
        short_side: frames are resized so that their short side has this many pixels,
        max_side: unless the long side would be longer than this.
        window: frames that pass the network at a time.
        top_k: tracks kept per video, by score.
        min_score: of a detection, the probability of its class times its centreness.
        candidates: of a frame that are compared with each other; ``same_object``: of two of one class with boxes of an
            IoU above it, the surer stays; ``detections``: of a frame that are followed.
        new_below: see :class:`Tracker`.
        sure: the least score of a detection that a pseudo-label may be made of.
    """

    short_side: int = 360
    max_side: int = 640
    window: int = 8
    top_k: int = 10
    min_score: float = 0.05
    candidates: int = 1000
    same_object: float = 0.6
    detections: int = 100
    new_below: float = 0.4
    sure: float = 0.3

    def __post_init__(self) -> None:
        for name in ("short_side", "max_side", "window", "top_k", "candidates", "detections"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"segmenter.test.{name}: {value!r}: must be a whole number of at least 1")
        for name in ("min_score", "same_object", "sure"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise UserError(f"segmenter.test.{name}: {value!r}: must be a number from 0 to 1")

    def frames(self, video: Video) -> Iterator[Tensor]:
        """Windows of resized frames: uint8 RGB [t, 3, h, w]."""
        return self._reader.frames(video)

    def size(self, video: Video) -> tuple[int, int]:
        """Height and width after resizing."""
        return self._reader.size(video.height, video.width)

    @property
    def _reader(self) -> Reader:
        return Reader(self.short_side, self.max_side, self.window)

    def detect(self, output: Locations, frame: int, min_score: float) -> Detections:
        """What is found in a frame, on the CPU."""
        logits = output.logits.flatten(0, 1).view(*output.sides.shape[:2], -1)[frame]
        probabilities = logits.float().sigmoid() * output.centreness[frame].float().sigmoid()[:, None]
        location, column = (probabilities > min_score).nonzero(as_tuple=True)
        scores, order = probabilities[location, column].topk(min(self.candidates, len(location)))
        location, column = location[order], column[order]
        points, sides = output.grid.points[location], output.sides[frame, location].float()
        sides = sides * output.grid.stride[location, None]
        boxes = torch.cat((points - sides[:, :2], points + sides[:, 2:]), -1)
        kept = batched_nms(boxes, scores, column, self.same_object)[: self.detections]
        location = location[kept]
        found = (scores[kept], column[kept], boxes[kept], output.embeddings[frame, location].float())
        return Detections(*(value.cpu() for value in (*found, location, probabilities[location])))


class Follower:
    """The objects of one video; their masks are kept as run-length code."""

    def __init__(self, inference: Inference, video: Video) -> None:
        self.inference, self.video = inference, video
        self.tracker = Tracker(inference.new_below)
        self._masks: list[dict[int, RLE | None]] = []  # of each track, by frame

    def add(self, time: int, found: Detections, masks: Tensor) -> None:
        """The next frame.

        Args:
            masks: logits [n, h, w] at the size of the padded frame.
        """
        numbers = self.tracker.step(found)
        self._masks += [{} for _ in range(len(self.tracker.tracks) - len(self._masks))]
        rows = [row for row, number in enumerate(numbers) if number >= 0]
        height, width = self.inference.size(self.video)
        if rows:
            large = resize(masks[None, rows, :height, :width].float().sigmoid(), (self.video.height, self.video.width))
            for row, mask in zip(rows, encode_masks(large[0] > 0.5), strict=True):
                self._masks[numbers[row]][time] = mask

    def best(self, classes: Sequence[int]) -> Tracks:
        """The ``top_k`` best tracks with a mask: a track's class is that of its first detection, its score the mean of
        all.

        Args:
            classes: data-set ids of the columns.
        """
        tracks = [row for row in zip(self.tracker.tracks, self._masks, strict=True) if any(row[1].values())]
        rows = sorted(tracks, key=lambda row: -row[0].score / row[0].frames)[: self.inference.top_k]
        return Tracks(
            self.video.id,
            tuple(classes[track.column] for track, _ in rows),
            tuple(track.score / track.frames for track, _ in rows),
            tuple(tuple(masks.get(time) for time in range(len(self.video))) for _, masks in rows),
        )
