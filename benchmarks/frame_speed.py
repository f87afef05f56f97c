"""Our CTVIS's detector of a frame beside mmdet's Mask2FormerHead: R50 size, equal weights, maps of one backbone.

    OMP_NUM_THREADS=1 python benchmarks/frame_speed.py

Processor time of two passes, of pixel decoder and decoder together. In the first, under inference mode, each side gives
what it gives to predict: mmdet's head the classes and masks of all layers, ours those of the last. In the second
both give all layers, which are summed, and gradients of it go back to every weight. The sides take turns; the first
turn does not count. Logits of classes and masks must agree to 1e-3.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import torch
from mmdet_r50 import frame_pair
from ratios import Ratio, tell
from torch import Tensor

Layers = Iterator[tuple[Tensor, Tensor]]  # class logits [T, Q, K+1] and mask logits [T, Q, h, w], of some layers
CLOSE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(360, 640), metavar=("H", "W"))
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="turns that count")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    theirs, ours = frame_pair()
    head = theirs.panoptic_head
    frames = torch.randint(0, 256, (1, options.frames, 3, *options.size), dtype=torch.uint8)
    with torch.no_grad():
        maps = ours.extract(frames)

    def of_theirs(which: str) -> Layers:
        return zip(*head(list(maps.levels), None), strict=True)

    def of_ours(which: str) -> Layers:
        layers = ours.decode(ours.encode(maps), prediction_layers=which)
        return ((layer.logits, layer.masks[:, :, 0]) for layer in layers)

    def predicted(detect: Callable[[str], Layers]) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            return list(detect("last"))[-1]

    def trained(detect: Callable[[str], Layers]) -> tuple[Tensor, Tensor]:
        layers = list(detect("all"))
        torch.stack([part.mean() for layer in layers for part in layer]).sum().backward()
        return layers[-1]

    ratios = []
    for what, work in (("prediction", predicted), ("a training pass", trained)):
        times: dict[Callable[[str], Layers], list[float]] = {of_theirs: [], of_ours: []}
        for _ in range(options.rounds + 1):
            answers = []
            for side, spent in times.items():
                begun = time.process_time()
                answers.append(work(side))
                spent.append(time.process_time() - begun)
            apart = max((a - b).abs().max().item() for a, b in zip(*answers, strict=True))
            if not apart < CLOSE:
                raise SystemExit(f"{what}: the logits are apart by {apart:.1e}")
        values = [ours / theirs for theirs, ours in zip(*(spent[1:] for spent in times.values()), strict=True)]
        ratios.append(Ratio(f"{what} of ctvis's frame detector, of mmdet's Mask2FormerHead's", values))
    tell(ratios, options.json)


if __name__ == "__main__":
    main()
