"""Deformable attention as cvis does it, against ``grid_sample``: gathered on a CPU, by deformops' kernels on a GPU.

    OMP_NUM_THREADS=1 python benchmarks/attention_speed.py
    python benchmarks/attention_speed.py --device cuda --batch 16      # pip install "cvis[gpu]"

One layer's attention of R50 size on the three levels of frames of 352 x 640; the two ways take turns, and must be equal
to 1e-5. On a CPU a prediction's, in processor time; on a GPU also with gradients, by the clock between two
synchronisations, and the peak of memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from ratios import Ratio, tell
from torch import Tensor

from cvis.segmenters.mask2former.deformable import deformable_attention_gather, deformable_attention_torch
from cvis.segmenters.mask2former.fused import fused_attention, problem

SHAPES = ((11, 20), (22, 40), (44, 80))
HEADS, CHANNELS, POINTS = 8, 32, 4
WITH_GRADIENTS = " with its gradients"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns that count")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=1, help="frames")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    on_gpu = options.device == "cuda"
    device = torch.device(options.device)
    why = problem(device, HEADS, CHANNELS, len(SHAPES), POINTS, deformable_attention_torch) if on_gpu else None
    if why:
        print(f"nothing to compare: {why}")
        return
    ours, name = (fused_attention, "by deformops") if on_gpu else (deformable_attention_gather, "gathered")
    inputs = random_inputs(options.batch, device)
    ratios = []
    for gradients in (False, True) if on_gpu else (False,):
        times, peaks = [], []
        for turn in range(options.rounds + 1):
            (first, spent, peak), (second, other_spent, other_peak) = (
                measured(attend, inputs, gradients) for attend in (ours, deformable_attention_torch)
            )
            torch.testing.assert_close(first, second, rtol=0, atol=1e-5)
            if turn:
                times.append(spent / other_spent)
                peaks.append(peak / max(other_peak, 1))
        what = f"deformable attention {name}{WITH_GRADIENTS if gradients else ''}, of grid_sample's"
        ratios.append(Ratio(what, times))
        if on_gpu:
            ratios.append(Ratio(f"peak memory of {what}", peaks))
    tell(ratios, options.json)


def random_inputs(batch: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Value, locations and weights."""
    torch.manual_seed(0)
    positions = sum(height * width for height, width in SHAPES)
    value = torch.randn(batch, positions, HEADS, CHANNELS)
    locations = torch.rand(batch, positions, HEADS, len(SHAPES), POINTS, 2) * 1.1 - 0.05  # some lie outside
    weights = torch.rand(batch, positions, HEADS, len(SHAPES) * POINTS).softmax(-1)
    return value.to(device), locations.to(device), weights.unflatten(-1, (len(SHAPES), POINTS)).to(device)


def measured(attend: Callable, inputs: tuple[Tensor, Tensor, Tensor], gradients: bool) -> tuple[Tensor, float, int]:
    """The answer, seconds, and on a GPU the bytes at the peak beyond those before."""
    on_gpu = inputs[0].is_cuda
    clock = time.perf_counter if on_gpu else time.process_time
    value, locations, weights = (tensor.detach().requires_grad_(gradients) for tensor in inputs)
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated() if on_gpu else 0
    begun = clock()
    with torch.set_grad_enabled(gradients):
        answer = attend(value, SHAPES, locations, weights)
    if gradients:
        answer.sum().backward()
    if on_gpu:
        torch.cuda.synchronize()
    return answer.detach(), clock() - begun, torch.cuda.max_memory_allocated() - held if on_gpu else 0


if __name__ == "__main__":
    main()
