"""Deformable attention of a prediction on a CPU: gathered, as cvis does it there, against ``grid_sample``.

    OMP_NUM_THREADS=1 python benchmarks/attention_speed.py

One layer's attention of R50 size on the three levels of a frame of 352 x 640, in processor time; the two ways take
turns, and must be equal to 1e-5.
"""

from __future__ import annotations

import argparse
import time

import torch
from ratios import Ratio, tell

from cvis.segmenters.mask2former.deformable import deformable_attention_gather, deformable_attention_torch

SHAPES = ((11, 20), (22, 40), (44, 80))
HEADS, CHANNELS, POINTS = 8, 32, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns that count")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    positions = sum(height * width for height, width in SHAPES)
    value = torch.randn(1, positions, HEADS, CHANNELS)
    locations = torch.rand(1, positions, HEADS, len(SHAPES), POINTS, 2) * 1.1 - 0.05  # some lie outside
    weights = torch.rand(1, positions, HEADS, len(SHAPES) * POINTS).softmax(-1).unflatten(-1, (len(SHAPES), POINTS))
    values = []
    with torch.inference_mode():
        for turn in range(options.rounds + 1):
            spent, answers = [], []
            for attend in (deformable_attention_gather, deformable_attention_torch):
                begun = time.process_time()
                answers.append(attend(value, SHAPES, locations, weights))
                spent.append(time.process_time() - begun)
            torch.testing.assert_close(*answers, rtol=0, atol=1e-5)
            if turn:
                values.append(spent[0] / spent[1])
    tell([Ratio("deformable attention gathered, of grid_sample's", values)], options.json)


if __name__ == "__main__":
    main()
