"""CTVIS's tracker: frame after frame, which detection is which object seen before. It knows tensors, and no videos."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Rules:
    """When detections are tracks; see :class:`~cvis.segmenters.ctvis.inference.OnlineInference`."""

    min_score: float = 0.01
    same_object: float = 0.6
    match_threshold: float = 0.3
    cached: int = 10
    forget_after: int = 20
    trial: int = 8
    min_frames: int = 3


@dataclass
class Trajectory:
    """An object that was followed so far."""

    embedding: Tensor  # [D], momentum-averaged
    log_sum: Tensor  # [K+1], sum of log-probabilities over the frames in which it was seen
    last: int  # the last of these frames
    frames: int = 1  # how many they are
    cached: list[Tensor] = field(default_factory=list)  # the latest embeddings [D]

    def probabilities(self) -> Tensor:
        """Of K classes and no-object: softmax of the mean logits of its frames, [K+1]."""
        return (self.log_sum / self.frames).softmax(-1)


class Tracker:
    """Follows the objects of one video.

    Attributes:
        tracks: every track by its number, in the order of birth, also those that no detection can join any more.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.tracks: dict[int, Trajectory] = {}
        self._born = 0
        self._time = -1

    def step(self, log_probabilities: Tensor, embeddings: Tensor, inside: Tensor) -> list[int]:
        """The detections of the next frame: each joins a track, or begins one, or is none.

        Args:
            log_probabilities: [n, K+1] of K classes and no-object.
            embeddings: [n, D].
            inside: [n, h, w] bool, their masks.

        Returns:
            The number of each one's track; -1: none.
        """
        self._time += 1
        found = [-1] * len(embeddings)
        scores = (
            log_probabilities[:, :-1].exp().amax(-1) if log_probabilities.shape[-1] > 1 else embeddings.new_zeros(0)
        )
        kept = keep(scores, inside, self.rules.min_score, self.rules.same_object) if len(scores) else []
        known = self._joinable()
        joined = [-1] * len(kept)
        if known and kept:
            bank = torch.stack([self.tracks[number].embedding for number in known])
            lengths = torch.tensor([self.tracks[number].frames for number in known])
            joined = associate(bi_softmax(embeddings[kept], bank), lengths, self.rules.match_threshold)
        for row, place in zip(kept, joined, strict=True):
            if place >= 0:
                found[row] = known[place]
                self._join(self.tracks[known[place]], log_probabilities[row], embeddings[row])
            elif scores[row] > self.rules.min_score:
                found[row] = self._born
                self.tracks[self._born] = Trajectory(
                    embeddings[row], log_probabilities[row].clone(), self._time, cached=[embeddings[row]]
                )
                self._born += 1
        self._drop()
        return found

    def _joinable(self) -> list[int]:
        """Of the others no embeddings are needed any more."""
        known = []
        for number, track in self.tracks.items():
            if self._time - track.last <= self.rules.forget_after:
                known.append(number)
            else:
                track.cached.clear()
        return known

    def _join(self, track: Trajectory, log_probabilities: Tensor, embedding: Tensor) -> None:
        track.embedding = fused(track.embedding, torch.stack(track.cached), embedding)
        track.cached = [*track.cached, embedding][-self.rules.cached :]
        track.log_sum = track.log_sum + log_probabilities
        track.last = self._time
        track.frames += 1

    def _drop(self) -> None:
        """Of a video that is no longer young, the tracks that were seen a few times and are gone."""
        if self._time >= self.rules.trial:
            rules = self.rules
            brief = [n for n, t in self.tracks.items() if t.frames < rules.min_frames and self._time - t.last >= 2]
            for number in brief:
                del self.tracks[number]


def keep(scores: Tensor, inside: Tensor, min_score: float, same_object: float) -> list[int]:
    """Rows of the detections above ``min_score`` (the best in any case) that no better one covers, best first.

    Of two masks [h, w] whose IoU is more than ``same_object`` that with the better score [n] stays.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] > min_score] if bool((scores > min_score).any()) else order[:1]
    flat = inside[order].flatten(1).float()
    shared = flat @ flat.T
    area = shared.diagonal()
    same = (shared > same_object * (area[:, None] + area - shared)).tolist()
    kept: list[int] = []
    for row in range(len(order)):
        if not any(same[row][better] for better in kept):
            kept.append(row)
    return order[kept].tolist()


def bi_softmax(embeddings: Tensor, bank: Tensor) -> Tensor:
    """f = 1/2 (softmax over the tracks + softmax over the detections) of d . ê (equation 3): [n, M].

    Args:
        embeddings: d, [n, D] of the detections.
        bank: ê, [M, D] of the tracks.
    """
    similarity = embeddings @ bank.T
    return (similarity.softmax(1) + similarity.softmax(0)) / 2


def associate(similarity: Tensor, lengths: Tensor, threshold: float) -> list[int]:
    """The track of each detection, the surest detection first; -1: none.

    A detection takes, of the free tracks with a similarity above ``threshold``, the one with the greatest; where there
    are several, with the greatest similarity x number of frames.

    Args:
        similarity: [n, M], detections in the order in which they choose.
        lengths: [M] in how many frames each track was seen.
    """
    free = torch.ones(similarity.shape[1], dtype=torch.bool)
    chosen = []
    for row in similarity.cpu():
        possible = free & (row > threshold)
        place = int((row * lengths).where(possible, -1).argmax()) if bool(possible.any()) else -1
        if place >= 0:
            free[place] = False
        chosen.append(place)
    return chosen


def fused(average: Tensor, cached: Tensor, embedding: Tensor) -> Tensor:
    """Equations 1 and 2: (1 - b) ê + b e with b the mean cosine of e and the cached embeddings [k, D], at least 0."""
    beta = F.cosine_similarity(cached, embedding[None], dim=-1).mean().clamp(min=0)
    return (1 - beta) * average + beta * embedding
