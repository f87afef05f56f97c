"""A batch that several processes share: its losses divide by, and draw, what one process with all of it would.

Every process has as many clips as the others, in the order of their ranks, and gradients are averaged over the
processes. So a mean over clips or queries is right as it is. A divisor that depends on what clips show must be averaged
too; and what is random is drawn for the whole batch, by generators that are alike in all processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor


class Part(NamedTuple):
    """Where the rows of this process stand among those of all processes."""

    first: int
    total: int

    @property
    def divisor(self) -> float:
        """Rows of a process, on average; those of the whole batch count as one at least."""
        return max(self.total, 1) / get_world_size()


def even_part(rows: int) -> Part:
    """Of rows of which every process has as many."""
    return Part(get_rank() * rows, get_world_size() * rows)


def gathered_part(rows: int, device: torch.device) -> Part:
    """Of rows that the processes have more or less of, or none. All processes must ask, and wait for each other."""
    if get_world_size() == 1:
        return Part(0, rows)
    of_all = torch.cat(all_gather(torch.tensor([rows], device=device))).tolist()
    return Part(sum(of_all[: get_rank()]), sum(of_all))


def uniform(shape: Sequence[int], part: Part, axis: int, like: Tensor) -> Tensor:
    """This process's rows of a tensor drawn from [0, 1) for all processes, along ``axis``; of the type of ``like``."""
    whole = [*shape[:axis], part.total, *shape[axis + 1 :]]
    return torch.rand(whole, device=like.device, dtype=like.dtype).narrow(axis, part.first, shape[axis])


def mean_of_all(value: Tensor) -> Tensor:
    """The mean over the processes of what each has, for divisors: no gradient flows. All processes must ask."""
    if get_world_size() == 1:
        return value
    mean = value.detach().to(torch.promote_types(value.dtype, torch.float32), copy=True)
    all_reduce(mean, "mean")
    return mean


def most_of_all(number: int) -> int:
    """The greatest of the processes' numbers. All processes must ask."""
    most = torch.tensor(int(number))
    all_reduce(most, "max")
    return int(most)
