"""CrossVIS's online tracker: which detection of a frame is which object seen before. It knows no videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou


class Detections(NamedTuple):
    """The n detections of a frame, the surest first."""

    scores: Tensor  # [n] probability of its class times centreness
    columns: Tensor  # [n] int64, of its class
    boxes: Tensor  # [n, 4] left, top, right, bottom, pixels
    embeddings: Tensor  # [n, D]
    locations: Tensor  # [n] int64, of the frame
    probabilities: Tensor  # [n, K] of all classes, times centreness


@dataclass
class Trajectory:
    """An object that was followed so far."""

    column: int
    box: Tensor  # [4] where it was last seen
    embedding: Tensor  # [D] and how it looked then
    probabilities: Tensor  # [K], sum over its frames
    score: float  # likewise
    frames: int = 1


class Tracker:
    """Follows the objects of one video; no track ends.

    Args:
        new_below: a detection whose similarity with every track is less begins one.

    Attributes:
        tracks: in the order of birth.
    """

    def __init__(self, new_below: float) -> None:
        self.new_below = new_below
        self.tracks: list[Trajectory] = []

    def step(self, found: Detections) -> list[int]:
        """The detections of the next frame: each joins a track, or begins one, or is none because a surer one joined.

        Returns:
            The number of each one's track; -1: none.
        """
        best = self._similarity(found).max(1) if self.tracks else None
        numbers: list[int] = []
        for row, score in enumerate(found.scores.tolist()):
            if best is None or best.values[row] < self.new_below:
                numbers.append(len(self.tracks))
                values = found.boxes[row], found.embeddings[row], found.probabilities[row]
                self.tracks.append(Trajectory(int(found.columns[row]), *values, score))
            elif (number := int(best.indices[row])) in numbers:
                numbers.append(-1)
            else:
                numbers.append(number)
                track = self.tracks[number]
                track.box, track.embedding = found.boxes[row], found.embeddings[row]
                track.probabilities = track.probabilities + found.probabilities[row]
                track.score, track.frames = track.score + score, track.frames + 1
        return numbers

    def _similarity(self, found: Detections) -> Tensor:
        """cos(e, e') + IoU of detections and what each track was last, -1 where their classes differ: [n, M]."""
        embeddings = torch.stack([track.embedding for track in self.tracks])
        boxes = torch.stack([track.box for track in self.tracks])
        columns = torch.tensor([track.column for track in self.tracks])
        alike = F.normalize(found.embeddings, dim=-1) @ F.normalize(embeddings, dim=-1).T + box_iou(found.boxes, boxes)
        return torch.where(found.columns[:, None] == columns, alike, -1)
