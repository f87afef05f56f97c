"""Time and memory of one training pass and one forward pass of a segmenter.

    python benchmarks/segmenter_speed.py --device cuda --bf16
    python benchmarks/segmenter_speed.py --device cpu --segmenter mask2former_tiny --size 64 96 --clips 8

Random weights, random frames, three rectangles a clip: nothing here is an accuracy. Absolute times mean something
on a GPU only; on a CPU the output is the share of the parts, in one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from mmengine.config import Config

from cvis.files import shipped
from cvis.segmenters import build_segmenter
from cvis.types import Targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--segmenter", default="mask2former_r50")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 640), metavar=("H", "W"))
    parser.add_argument("--clips", type=int, default=4, help="batch size; clips of two frames")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    config = Config.fromfile(shipped("configs") / "segmenters" / f"{options.segmenter}.py").to_dict()["segmenter"]
    model = build_segmenter(config)
    model.add_classes(range(1, 41))
    model.to(options.device).train()
    frames, targets = make_batch(options)
    autocast = torch.autocast(options.device, torch.bfloat16) if options.bf16 else nullcontext()

    def forward() -> None:
        with torch.no_grad(), autocast:
            model.decode(model.features(frames))

    def training_pass() -> None:
        model.zero_grad(set_to_none=True)
        with autocast:
            losses = model.criterion(model.decode(model.features(frames)), targets)
        torch.stack(list(losses.values())).sum().backward()

    passes = {name: measure(work, options) for name, work in (("forward", forward), ("training", training_pass))}
    report = {**vars(options), "device": name_of(options.device)}
    if options.device == "cuda":
        rates = {
            "images_per_s": 2 * options.clips / passes["forward"]["median_s"],
            "iterations_per_s": 1 / passes["training"]["median_s"],
        }
        report.update(passes, **rates)  # what protocol_cost.py asks for
    else:
        report["training / forward"] = passes["training"]["median_s"] / passes["forward"]["median_s"]
    print(json.dumps(report, indent=1))


def make_batch(options: argparse.Namespace) -> tuple[torch.Tensor, list[Targets]]:
    height, width = options.size
    frames = torch.randint(0, 256, (options.clips, 2, 3, height, width), dtype=torch.uint8, device=options.device)
    targets = []
    for clip in range(options.clips):
        masks = torch.zeros(3, 2, height, width, dtype=torch.bool, device=options.device)
        for n in range(3):
            masks[n, :, 10 * n : 10 * n + height // 3, 20 * n : 20 * n + width // 3] = True
        ids = torch.tensor([1 + clip % 40, 7, 40], device=options.device)
        targets.append(Targets(ids, masks))
    return frames, targets


def measure(work: Callable[[], None], options: argparse.Namespace) -> dict[str, float]:
    """Median seconds and, on a GPU, peak memory in MB of one call."""
    cuda = options.device == "cuda"
    work()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(options.rounds):
        if cuda:
            torch.cuda.synchronize()
        begun = time.perf_counter()
        work()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else 0.0
    return {"median_s": statistics.median(times), "peak_mb": peak}


def name_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "CPU"


if __name__ == "__main__":
    main()
