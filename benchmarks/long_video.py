"""Whether the memory of `cvis predict` stays flat on videos of any length: peaks of whole processes.

    OMP_NUM_THREADS=1 python benchmarks/long_video.py RUN --frames 36 360 3600

    OMP_NUM_THREADS=1 python benchmarks/long_video.py RUN_OF_CTVIS --frames 36 360 2000 --tracking its-own

RUN is the folder of a finished run; the video is noise that moves, 64 x 96 pixels, in a folder of frames. Each length
and each way of tracking is a process of its own; ratios are of the first length's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ratios import Ratio, tell
from timed_process import python
from video_speed import write_frames

OWN = "its-own"  # as the model is configured: of one that has no such choice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--frames", type=int, nargs="+", default=[36, 360])
    parser.add_argument("--tracking", nargs="+", default=["none", "queries"], choices=("none", "queries", OWN))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    peaks: dict[str, dict[int, float]] = {tracking: {} for tracking in options.tracking}
    with tempfile.TemporaryDirectory() as folder:
        for length in options.frames:
            video = Path(folder, str(length))
            video.mkdir()
            write_frames(video, length, size=(64, 96))
            for tracking, found in peaks.items():
                words = ["predict", options.run, video, "--out", Path(folder, "results.json"), "--device", "cpu"]
                words += [] if tracking == OWN else ["--set", f"segmenter.test.tracking={tracking}"]
                found[length] = python(["-m", "cvis", *words]).peak_mb
    first, *others = options.frames
    ratios = [
        Ratio(f"peak of {length} frames, tracking={tracking}, of {first} frames'", [found[length] / found[first]])
        for tracking, found in peaks.items()
        for length in others
    ]
    if not options.json:
        for tracking, found in peaks.items():
            print(f"{tracking}: " + ", ".join(f"{length} frames {peak:,.0f} MB" for length, peak in found.items()))
    tell(ratios, options.json)


if __name__ == "__main__":
    main()
