"""Tracks of a video whose windows are decoded on their own: queries are followed from window to window.

So memory does not grow with the length of a video, and what a model says of a window depends on that window alone.
MinVIS (Huang, Yu and Anandkumar, NeurIPS 2022) follows the queries of frames in this way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from cvis.segmenters.outputs import Answers
from cvis.types import RLE


class QueryTracks:
    """Q tracks, each of one query of every window; of one list of answers (see :meth:`Inference.followed`).

    Queries continue the tracks whose embeddings e [Q, D] are most like theirs: the Hungarian matching of the greatest
    sum of cosines, each group's queries among themselves. A track remembers what it looked like when it was last seen,
    so that an object that left finds its track again. With q_w the query and s_w its scores in window w, of t_w frames:

        e <- e + u_w (q_w - e)        u_w = min(1, sum_c s_w(c)), how sure the window is that this is an object
        s(c) = sum_w t_w s_w(c) / sum_w t_w

    The mean is of scores and not of logits, because a learner's scores need not come from one softmax. Of plain models
    (1 - no-object) and of prompts alike, u_w is near 1 for an object and near 0 where there is none.
    """

    def __init__(self) -> None:
        self.embeddings = torch.zeros(0)  # e
        self.summed = torch.zeros(0)  # sum of t s [Q, K], double precision
        self.answered = torch.zeros(0)  # [Q, K] bool: some window answers with this class
        self.masks: list[list[RLE | None]] = []  # Q x frames so far
        self.length = 0  # frames so far

    def add(self, answers: Answers, masks: Mapping[int, Sequence[RLE | None]], frames: int) -> None:
        """The next window.

        Args:
            masks: of its queries, frame by frame; those that are not in it show nothing.
        """
        queries = (answers.mask_embeddings if answers.queries is None else answers.queries).float()
        scores = answers.scores.double()
        if not self.length:
            self.embeddings, self.summed = queries, torch.zeros_like(scores)
            self.answered = torch.zeros_like(scores, dtype=torch.bool)
            self.masks = [[] for _ in queries]
        follows = follow(self.embeddings, queries, answers.groups)
        scores, queries = scores[follows], queries[follows]
        shown = scores.clamp(min=0)
        sure = shown.sum(-1, keepdim=True).clamp(max=1).float()
        self.embeddings = self.embeddings + sure * (queries - self.embeddings)
        self.summed += frames * shown
        self.answered |= scores > -torch.inf
        self.length += frames
        for track, query in zip(self.masks, follows.tolist(), strict=True):
            track.extend(masks.get(query, [None] * frames))

    @property
    def scores(self) -> Tensor:
        """Of the tracks so far: [Q, K], -inf for the classes that no window answers with."""
        return (self.summed / self.length).where(self.answered, -torch.inf).float()


def follow(tracks: Tensor, queries: Tensor, groups: Sequence[int] = ()) -> Tensor:
    """Which query continues each track: [Q] int64, a permutation, of each group on its own.

    Args:
        tracks, queries: embeddings [Q, D].
        groups: how many of the Q belong to each group; (): all to one.
    """
    sizes = list(groups) or [len(tracks)]
    chosen, first = [], 0
    for mine, theirs in zip(tracks.split(sizes), queries.split(sizes), strict=True):
        likeness = F.normalize(mine, dim=-1) @ F.normalize(theirs, dim=-1).T
        chosen.append(torch.from_numpy(linear_sum_assignment(likeness.cpu().numpy(), maximize=True)[1]) + first)
        first += len(mine)
    return torch.cat(chosen).to(tracks.device)
