"""From a video on disk to tracks, online: every frame is read once, and what is kept of it is small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cvis.errors import UserError
from cvis.segmenters.background import is_no_object, join, num_classes
from cvis.segmenters.ctvis.tracker import Rules, Tracker
from cvis.segmenters.encoding import encode_masks
from cvis.segmenters.mask2former.decoder import mask_logits, resize
from cvis.segmenters.mask2former.inference import Inference
from cvis.segmenters.outputs import Answers, Draw, Memory, ProposedTracks
from cvis.types import RLE, Tracks, Video

Resize = Callable[[Tensor], Tensor]
FLOOR = 1e-8
"""Of a probability before its logarithm is taken."""


@dataclass(frozen=True)
class OnlineInference(Rules, Inference):
    """How a video is read, its objects followed, and its tracks written.

    Args:
        short_side, max_side, top_k: of :class:`~cvis.segmenters.mask2former.inference.Inference`; the released code has
            as many answers as classes.
        window: frames that pass the backbone at a time.
        min_score: a detection's least class probability (the best of a frame counts in any case), and a new track's.
        same_object: of two masks of a frame with an IoU above it, the surer stays, whatever their classes.
        match_threshold: the least similarity of a detection and a track: 0.3 (released code) or 0.5 (paper).
        cached: embeddings of a track that the next one's weight is made of.
        forget_after: a track that was not seen for more frames than that takes no detection any more.
        trial, min_frames: from frame ``trial`` on, tracks of less than ``min_frames`` frames that were not seen in the
            last two are dropped.
    """

    short_side: int = 480
    window: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tracking != "none":
            said = f"segmenter.test.tracking: {self.tracking!r}: ctvis follows objects from frame to frame by itself"
            raise UserError(f"{said}; leave it at none")
        for name in ("cached", "forget_after", "trial", "min_frames"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"segmenter.test.{name}: {value!r}: must be a whole number of at least 1")
        for name in ("min_score", "same_object", "match_threshold"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise UserError(f"segmenter.test.{name}: {value!r}: must be a number from 0 to 1")


@dataclass
class _Kept:
    """What is kept of a track's masks."""

    sure: float = 0.0  # sum of the probabilities inside them
    pixels: float = 0.0
    masks: dict[int, RLE | None] = field(default_factory=dict)  # by frame


class Follower:
    """The objects of one video, from one list of answers a frame; masks are kept as run-length code."""

    def __init__(self, inference: OnlineInference, video: Video, soft_masks: bool, draw: Draw | None = None) -> None:
        self.inference, self.video, self.soft_masks, self.draw = inference, video, soft_masks, draw
        self.tracker = Tracker(inference)
        self._frame = -1
        self._kept: dict[int, _Kept] = {}

    def add(self, frame: Tensor, memory: Memory, answers: Answers, embeddings: Tensor) -> None:
        """The next frame, uint8 [3, H, W].

        Args:
            memory: of that frame alone, B = T = 1.
            embeddings: [Q, D] of the answers' queries.
        """
        self._frame += 1
        features = memory.mask_features
        logits = mask_logits(answers.mask_embeddings[None].to(features.dtype), features)[0, :, 0].float()
        inside = (logits.softmax(0) if self.soft_masks else logits.sigmoid()) > 0.5
        scores = log_probabilities(answers.scores)
        found = self.tracker.step(scores.cpu(), embeddings.float().cpu(), inside.cpu()) if scores.shape[1] > 1 else []
        self._write(logits, answers.group_of, frame, memory.size, found)
        self._kept = {number: self._kept[number] for number in self.tracker.tracks}

    def _write(
        self, logits: Tensor, groups: Tensor, frame: Tensor, size: tuple[int, int], found: Sequence[int]
    ) -> None:
        """The masks of this frame at the video's own size, from the logits [Q, h, w] of queries of some ``groups``."""
        rows = [row for row, number in enumerate(found) if number >= 0]
        if rows:
            groups = groups if self.soft_masks else groups[rows]
            sure = enlarged(logits, rows, self.soft_masks, lambda masks: self._enlarge(masks, groups, frame, size))
            inside = sure > 0.5
            sums = torch.stack([(sure * inside).flatten(1).sum(1), inside.flatten(1).sum(1)], 1).tolist()
            for row, mask, (total, pixels) in zip(rows, encode_masks(inside), sums, strict=True):
                kept = self._kept.setdefault(found[row], _Kept())
                kept.masks[self._frame] = mask
                kept.sure, kept.pixels = kept.sure + total, kept.pixels + pixels

    def _enlarge(self, masks: Tensor, groups: Tensor, frame: Tensor, size: tuple[int, int]) -> Tensor:
        height, width = frame.shape[-2:]
        if self.draw is None:
            resized = resize(masks, size)[..., :height, :width]
        else:
            resized = self.draw(masks.transpose(0, 1), frame[None], size, groups).transpose(0, 1)
        return resize(resized, (self.video.height, self.video.width))

    def best(self, classes: Sequence[int]) -> Tracks:
        """The ``top_k`` best pairs of a track and a class, by the class's probability.

        The score is that probability, softmax of the mean logits of the frames in which the track was seen, times the
        mean probability inside its masks.

        Args:
            classes: data-set ids of the columns of the answers, which may have the first of them only.
        """
        tracks = self.tracker.tracks
        if not tracks:
            return Tracks(self.video.id, (), (), ())
        numbers = list(tracks)
        probabilities = torch.stack([track.probabilities()[:-1] for track in tracks.values()])
        values, pairs = probabilities.flatten().topk(min(self.inference.top_k, probabilities.numel()))
        rows = []
        for value, pair in zip(values.tolist(), pairs.tolist(), strict=True):
            row, column = divmod(pair, probabilities.shape[1])
            kept = self._kept[numbers[row]]
            masks = tuple(kept.masks.get(frame) for frame in range(len(self.video)))
            rows.append((classes[column], value * kept.sure / max(kept.pixels, 1.0), masks))
        rows.sort(key=lambda row: -row[1])
        return Tracks(self.video.id, tuple(r[0] for r in rows), tuple(r[1] for r in rows), tuple(r[2] for r in rows))


def proposed(
    rules: Rules, logits: Tensor, embeddings: Tensor, masks: Tensor, soft: bool, enlarge: Resize
) -> ProposedTracks:
    """The tracks of a clip of T frames, of the queries whose best is a class.

    Args:
        logits: [T, Q, K+1].
        embeddings: [T, Q, D].
        masks: [T, Q, h, w] logits.
        soft: see :func:`enlarged`.
        enlarge: to the size of the clip.
    """
    tracker = Tracker(rules)
    log_p = logits.float().log_softmax(-1)
    candidates = (~is_no_object(log_p.argmax(-1), log_p)).cpu()
    found: list[dict[int, int]] = []  # of each frame: query of each track
    for time, wanted in enumerate(candidates):
        rows = wanted.nonzero().squeeze(1)
        inside = (masks[time].softmax(0) if soft else masks[time].sigmoid()) > 0.5
        numbers = tracker.step(log_p[time].cpu()[rows], embeddings[time].float().cpu()[rows], inside.cpu()[rows])
        found.append({number: row for number, row in zip(numbers, rows.tolist(), strict=True) if number >= 0})
    known = [track.probabilities()[:-1] for track in tracker.tracks.values()]
    probabilities = torch.stack(known) if known else log_p.new_zeros(0, num_classes(log_p))
    height, width = enlarge(masks[0, :1, None].float()).shape[-2:]
    inside = masks.new_zeros(len(known), len(found), height, width, dtype=torch.float32)
    for time, query in enumerate(found):
        shown = [(place, query[number]) for place, number in enumerate(tracker.tracks) if number in query]
        if shown:
            places, rows = map(list, zip(*shown, strict=True))
            inside[places, time] = enlarged(masks[time].float(), rows, soft, enlarge)
    return ProposedTracks(probabilities.to(log_p), inside)


def enlarged(logits: Tensor, rows: Sequence[int], soft: bool, enlarge: Resize) -> Tensor:
    """Mask probabilities [n, H, W] of some queries, from the logits [Q, h, w] of all, which are enlarged first.

    Args:
        soft: the queries share the pixels, see :class:`~cvis.segmenters.contract.AlignedQueries`; enlarging only those
            that are asked for is then not enough.
        enlarge: [1, n, h, w] -> [1, n, H, W].
    """
    if soft:
        return enlarge(logits[None])[0].softmax(0)[rows]
    return enlarge(logits[rows][None])[0].sigmoid()


def log_probabilities(scores: Tensor) -> Tensor:
    """Of classes and no-object [Q, K+1], from the scores [Q, K] of the classes: no-object has what they leave.

    >>> log_probabilities(torch.tensor([[0.5, 0.25, -torch.inf]])).exp().round(decimals=3).tolist()
    [[0.5, 0.25, 0.0, 0.25]]
    """
    classes = scores.float().clamp(min=0)
    return join(classes, 1 - classes.sum(-1, keepdim=True)).clamp(min=FLOOR).log()
