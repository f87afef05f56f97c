"""CTVIS's contrastive learning: embeddings of an object in one frame against what a memory bank kept of all objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cvis.segmenters.shared_batch import even_part, mean_of_all, uniform


class Bank(NamedTuple):
    """What is remembered of N objects after each of T frames, of B clips."""

    averaged: Tensor  # [B, N, T, D], momentum-averaged embeddings
    latest: Tensor  # [B, N, T, D], the last embedding that was written
    known: Tensor  # [B, N, T] bool: something was written


class Items(NamedTuple):
    """Contrastive items: an anchor for each object and frame, its positive key and K negative ones."""

    anchors: Tensor  # [B, N, T, D]
    positives: Tensor  # [B, N, T, D]
    negatives: Tensor  # [B, T, K, D], the same for all objects
    valid: Tensor  # [B, N, T] bool: there is such an item
    counted: Tensor  # [B, N, T, K] bool: this negative is one of the item's


def momentum(embeddings: Tensor, written: Tensor) -> Bank:
    """The memory bank of equations 1 and 2, with e^t the t-th embedding of an object that was written.

        ê^1 = e^1,  ê^t = (1 - b) ê^(t-1) + b e^t,  b = max(0, 1/(t-1) sum_{k<t} cos(e^t, e^k))

    A frame in which nothing was written carries ê over.

    Args:
        embeddings: [B, N, T, D].
        written: [B, N, T] bool.
    """
    unit = F.normalize(embeddings, dim=-1)
    alike = (unit @ unit.transpose(-1, -2)) * written[..., None, :]  # [B, N, T, T]: of frame t with what was written
    before = written.cumsum(-1) - written.long()
    beta = (alike.tril(-1).sum(-1) / before.clamp(min=1)).clamp(min=0)
    beta = torch.where(before > 0, beta, 1.0)[..., None]
    averaged, latest = [], []
    mean = last = torch.zeros_like(embeddings[:, :, 0])
    for time in range(embeddings.shape[2]):
        now, new = embeddings[:, :, time], written[:, :, time, None]
        mean = torch.where(new, mean + beta[:, :, time] * (now - mean), mean)
        last = torch.where(new, now, last)
        averaged.append(mean)
        latest.append(last)
    return Bank(torch.stack(averaged, 2), torch.stack(latest, 2), (before + written.long()) > 0)


@dataclass(frozen=True)
class Recipe:
    """How items are made; see :class:`~cvis.segmenters.ctvis.criterion.ContrastiveCriterion`."""

    bank_probability: float
    future: bool
    negatives: str
    noise: float
    noise_from: str
    detach_keys: bool

    def items(self, embeddings: Tensor, queries: Tensor) -> Items:
        """Of all frames but the first of each clip.

        Args:
            embeddings: [B, T, Q, D] of all queries.
            queries: [B, N, T] int64, which of them has each object; -1: none has.
        """
        seen = queries >= 0
        anchors = _gathered(embeddings, queries)
        keys = embeddings.detach() if self.detach_keys else embeddings
        own = _gathered(keys, queries)
        taken = _taken(queries, embeddings.shape[2])  # [B, T, Q]
        noisy, noise = self._noise(keys, seen, taken)
        bank = momentum(torch.where(noisy[..., None], noise, own), seen | noisy)
        averaged, latest, known = (_frame_before(part) for part in bank)
        drawn = _uniform(seen.shape, keys) < self.bank_probability
        positives = torch.where(drawn[..., None], averaged, latest)
        valid = seen & known
        if self.future:
            later, follows = _next_seen(own, seen)
            positives = torch.where(known[..., None], positives, later)
            valid = seen & (known | follows)
        valid = valid & (torch.arange(seen.shape[2], device=seen.device) > 0)
        background = keys.roll(1, 1)  # of the frame before
        if self.negatives == "queries":
            mine = F.one_hot(queries.clamp(min=0), embeddings.shape[2]).bool() & seen[..., None]
            return Items(anchors, positives, background, valid, ~_frame_before(mine))
        other = ~torch.eye(seen.shape[1], dtype=torch.bool, device=seen.device)[:, None]  # [N, 1, N]
        free = ~taken.roll(1, 1)[:, None].expand(-1, seen.shape[1], -1, -1)
        counted = torch.cat([known.transpose(1, 2)[:, None] & other, free], -1)
        return Items(anchors, positives, torch.cat([averaged.transpose(1, 2), background], 2), valid, counted)

    def _noise(self, keys: Tensor, seen: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Where [B, N, T] a wrong embedding [B, N, T, D] is written of an object that is gone."""
        possible = torch.ones_like(taken) if self.noise_from == "queries" else taken
        gone = ~seen & (seen.cumsum(-1) > 0) & possible.any(-1)[:, None]
        noisy = gone & (_uniform(seen.shape, keys) < self.noise)
        chances = _uniform((*seen.shape, taken.shape[-1]), keys)
        return noisy, _gathered(keys, chances.masked_fill(~possible[:, None], -1).argmax(-1))


def contrastive_losses(items: Items) -> tuple[Tensor, Tensor]:
    """L_emb (equation 5) and the released code's L_aux, means over the items of all processes; zeros that depend on
    them without one.

    L_emb = log(1 + sum_k- exp(v . k- - v . k+));  L_aux = mean over the keys of (cos(v, k) - y)^2, y = 1 for k+, else 0
    """
    anchors, positives, negatives, valid, counted = items
    count = mean_of_all(valid.sum())
    count = count.where(count > 0, 1)
    against = torch.einsum("bntd,btkd->bntk", anchors, negatives) - (anchors * positives).sum(-1, keepdim=True)
    against = F.pad(against.masked_fill(~counted, -torch.inf), (1, 0))  # exp(0) = 1
    emb = against.logsumexp(-1)
    unit, positive = F.normalize(anchors, dim=-1), F.normalize(positives, dim=-1)
    right = ((unit * positive).sum(-1) - 1).square()
    wrong = torch.einsum("bntd,btkd->bntk", unit, F.normalize(negatives, dim=-1)).square().where(counted, 0)
    aux = (right + wrong.sum(-1)) / (1 + counted.sum(-1))
    return emb.where(valid, 0).sum() / count, aux.where(valid, 0).sum() / count


def _uniform(shape: Sequence[int], like: Tensor) -> Tensor:
    """For the clips of all processes, of which these are the own ones."""
    return uniform(shape, even_part(shape[0]), 0, like)


def _gathered(embeddings: Tensor, queries: Tensor) -> Tensor:
    """[B, T, Q, D] at [B, N, T] -> [B, N, T, D]; where no query is named, any."""
    batch, time = (torch.arange(size, device=queries.device) for size in embeddings.shape[:2])
    return embeddings[batch[:, None, None], time, queries.clamp(min=0)]


def _taken(queries: Tensor, number: int) -> Tensor:
    """Which of the queries are an object's: [B, T, Q] bool."""
    return ((queries[..., None] == torch.arange(number, device=queries.device)).any(1)).contiguous()


def _frame_before(values: Tensor) -> Tensor:
    """Of axis 2, one frame later; nothing is before the first."""
    before = values.roll(1, 2)
    return torch.cat([torch.zeros_like(before[:, :, :1]), before[:, :, 1:]], 2)


def _next_seen(own: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The first embedding of an object after each frame, and whether there is one."""
    nothing = torch.zeros_like(own[:, :, 0]), torch.zeros_like(seen[:, :, 0])
    after = [nothing]
    for time in range(seen.shape[2] - 1, 0, -1):
        there, (later, follows) = seen[:, :, time], after[-1]
        after.append((torch.where(there[..., None], own[:, :, time], later), there | follows))
    embeddings, follow = zip(*reversed(after), strict=True)
    return torch.stack(embeddings, 2), torch.stack(follow, 2)
