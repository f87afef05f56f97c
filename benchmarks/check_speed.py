"""What `cvis data check` does with a frame, against decoding it: JPEG files of 720 x 1280, in processor time.

    python benchmarks/check_speed.py

A check decodes all of a file, but not to all of its pixels. The two ways take turns, frame by frame.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from ratios import Ratio, tell

from cvis.data.frames import check_frame, read_frame

HEIGHT, WIDTH = 720, 1280


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {"check": [], "read": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frame.jpg")
        for _ in range(options.frames):
            coarse = Image.fromarray(rng.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8))
            coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path, quality=80)
            for name, work in (("check", check_frame), ("read", read_frame)):
                begun = time.process_time()
                work(path, HEIGHT, WIDTH)
                seconds[name].append(time.process_time() - begun)
    values = [check / read for check, read in zip(*seconds.values(), strict=True)]
    tell([Ratio("the check of a frame, of decoding it", values, aim=0.5)], options.json)


if __name__ == "__main__":
    main()
