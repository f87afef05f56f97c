"""Which video each place of each training batch shows: an endless shuffled walk that can start anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler

from cvis.errors import UserError

_PERMUTATIONS, _SAMPLES = 0, 1  # keep the two kinds of random stream apart


def share_of(batch_size: int, processes: int) -> int:
    """Clips of a batch that each process has: as many as the others, or a mean over clips would be another number.

    Raises:
        UserError: ``batch_size`` is not a positive multiple of ``processes``.
    """
    if batch_size < 1 or batch_size % processes:
        what = f"schedule.batch_size: {batch_size}: cannot be shared evenly by {processes} processes"
        raise UserError(f"{what}; choose a multiple of {processes}, or start a number of processes that divides it")
    return batch_size // processes


class ClipSampler(Sampler[list[tuple[int, int]]]):
    """Batch sampler: yields, for each iteration, the keys ``(index, seed)`` of its clips.

    Place ``k`` of iteration ``i`` is position ``p = i * batch_size + k`` of one global sequence: epochs of
    freshly shuffled permutations of all videos, running on across the borders of batches. Every position
    depends on ``(seed, p)`` only. So a run that starts at iteration ``start`` sees exactly the tail of the
    full run, and neither the number of workers nor the number of processes changes what is seen.

    Args:
        num_videos: ``len`` of the :class:`~cvis.data.clips.ClipDataset`.
        batch_size: clips per iteration, over all processes together.
        iterations: of the full run.
        seed: >= 0.
        start: first iteration to yield.
        rank: this process; it gets the places after those of the ranks before it, as many as each of them.
        world_size: number of processes.
        views: a video shows one of so many clips, in turn from epoch to epoch; None: each time another one.

    Raises:
        UserError: ``batch_size`` is not a positive multiple of ``world_size``.
        ValueError: another argument is out of range.
    """

    def __init__(
        self,
        num_videos: int,
        batch_size: int,
        iterations: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
        views: int | None = None,
    ) -> None:
        if num_videos < 1 or not 0 <= rank < world_size or not 0 <= start <= iterations:
            place = f"num_videos={num_videos}, rank={rank}/{world_size}, start={start}/{iterations}"
            raise ValueError(f"no batches can be drawn with {place}")
        self.num_videos = num_videos
        self.batch_size = batch_size
        self.share = share_of(batch_size, world_size)
        self.iterations = iterations
        self.seed = seed
        self.start = start
        self.rank = rank
        self.views = views

    def __len__(self) -> int:
        return self.iterations - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for iteration in range(self.start, self.iterations):
            first = iteration * self.batch_size + self.rank * self.share
            yield [self._key(position) for position in range(first, first + self.share)]

    def _key(self, position: int) -> tuple[int, int]:
        epoch, place = divmod(position, self.num_videos)
        index = _permutation(self.num_videos, self.seed, epoch)[place]
        drawn = position if self.views is None else epoch % self.views * self.num_videos + index
        sequence = np.random.SeedSequence([self.seed, _SAMPLES, drawn])
        return index, int(sequence.generate_state(1, np.uint64)[0])


@lru_cache(maxsize=4)
def _permutation(num_videos: int, seed: int, epoch: int) -> tuple[int, ...]:
    rng = np.random.default_rng(np.random.SeedSequence([seed, _PERMUTATIONS, epoch]))
    return tuple(rng.permutation(num_videos).tolist())
