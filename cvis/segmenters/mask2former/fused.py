"""Deformable attention by the fused GPU kernels of deformops, where that package is (``pip install "cvis[gpu]"``)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger("cvis")
Attend = Callable[[Tensor, Sequence[tuple[int, int]], Tensor, Tensor], Tensor]


def fused_attention(value: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """deformops' function; arguments and answer as of :func:`~cvis.segmenters.mask2former.deformable.
    deformable_attention`. On a CPU it is slow, and serves to test with.

    Raises:
        ImportError: the package is not installed.
    """
    from deformops.registry import msda

    levels = _levels(tuple(map(tuple, shapes)), value.device)
    return msda(value.to(locations), *levels, locations, weights.to(locations)).to(value.dtype)


def is_fused(value: Tensor, locations: Tensor, plain: Attend) -> bool:
    """Whether :func:`fused_attention` is used, not ``plain``: on a GPU, after it has answered there as that does."""
    return value.is_cuda and problem(value.device, *value.shape[2:], *locations.shape[3:5], plain) is None


@cache
def problem(device: torch.device, heads: int, channels: int, levels: int, points: int, plain: Attend) -> str | None:
    """Why the kernels are not used for attention of these sizes, said once as a warning; None: they are.

    A small example is tried, its answer and its gradients: kernels are compiled on the machine, for each size.
    """
    try:
        import deformops  # noqa: F401
    except ImportError:
        return 'deformops is not installed: pip install "cvis[gpu]", with Python 3.12 or 3.13 and torch 2.11 or later'
    try:
        difference = trial(fused_attention, plain, device, heads, channels, levels, points)
        reason = None if difference < TOLERANCE else f"another answer than torch's, by {difference:.1g}"
    except Exception as error:  # of a compiler, a driver, a kernel: whatever it is, torch can do without
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    if reason:
        logger.warning("deformops: %s; deformable attention stays with torch, which is slower", reason)
    return reason


TOLERANCE = 1e-3
"""Of values and gradients around 1 in single precision; a wrong layout or rule is off by as much as they are."""


def trial(first: Attend, second: Attend, device: torch.device, *sizes: int) -> float:
    """The greatest difference of two ways, in answer and gradients; ``sizes``: heads, channels, levels, points."""
    heads, channels, levels, points = sizes
    shapes = [(4 << level, 6 << level) for level in range(levels)]
    positions = sum(height * width for height, width in shapes)
    generator = torch.Generator().manual_seed(0)  # a run's own draws stay as they are

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def places(*shape: int) -> Tensor:
        """Some outside; none, by that third, between two pixels of any level, where gradients jump."""
        quarters = torch.tensor([6, 4]) * 4  # of the coarsest level's pixels
        return ((random(*shape) * 1.4 - 0.2) * quarters).floor().add(1 / 3) / quarters

    found: list[list[Tensor]] = []
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        inputs = [
            random(2, positions, heads, channels),
            places(2, 70, heads, levels, points, 2),
            random(2, 70, heads, levels, points) / points,
        ]
        weight = random(2, 70, heads * channels).to(device)
        for attend in (first, second):
            value, locations, weights = (tensor.to(device).requires_grad_() for tensor in inputs)
            answer = attend(value, shapes, locations, weights)
            gradients = torch.autograd.grad((answer * weight).sum(), (value, locations, weights))
            found.append([answer.detach(), *gradients])
    return float(torch.stack([(one - other).abs().max() for one, other in zip(*found, strict=True)]).max())  # nan stays


@cache
def _levels(shapes: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Any, Any]:
    """Heights and widths [L, 2] and where each level begins [L], on the device; made once for each size of frames."""
    with torch.inference_mode(False):  # made while predicting, they must serve training later
        sides = torch.tensor(shapes, device=device)
        return sides, torch.cat([sides.new_zeros(1), sides.prod(1).cumsum(0)[:-1]])
