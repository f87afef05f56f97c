"""What the tests of all steps cost in one pass over the videos, against the test of the last step alone.

    OMP_NUM_THREADS=1 python benchmarks/one_pass.py runs/synthetic-20-2/mask2former_tiny/eclipse/seed0 --videos 20

On the checkpoints of a finished run of a learner with ``one_pass``. Per video: what the last step's ``predict`` takes,
what ``predict_steps`` takes for all steps, and, with ``--each``, what the steps take one after the other; in seconds
of this process. The videos are taken in turns, so that whatever else the machine does meets all alike. All answers
are compared, and must be equal.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cvis.engine.predict import load_trained
from cvis.runs.open import open_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--each", action="store_true", help="time every step on its own, too")
    options = parser.parse_args()
    opened = open_run(options.run)
    steps = [load_trained(options.run, step, "cpu").learner for step in range(len(opened.result.steps))]
    last, heads = steps[-1], [learner.heads() for learner in steps]
    seconds = {"last": 0.0, "one pass": 0.0, "each": 0.0}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begun = time.process_time()
        answer = work()
        seconds[name] += time.process_time() - begun
        return answer

    videos = opened.scenario().test.videos[: options.videos + 1]
    with torch.inference_mode():
        for index, video in enumerate(videos):
            alone = timed("last", lambda: last.predict(video))  # noqa: B023  # called at once
            every = timed("one pass", lambda: last.predict_steps(video, heads))  # noqa: B023
            each = timed("each", lambda: [one.predict(video) for one in steps]) if options.each else every  # noqa: B023
            if alone != every[-1] or each != every:
                raise SystemExit(f"video {video.name}: the answers differ")
            if index == 0:  # what is loaded or compiled once
                seconds = dict.fromkeys(seconds, 0.0)
    count = len(videos) - 1
    print(f"{options.run}: {len(steps)} steps, {count} videos")
    print("           processor seconds a video, and in times of the last step alone")
    for name, value in seconds.items():
        if value:
            print(f"{name:10} {value / count:8.3f} {value / seconds['last']:6.2f}")


if __name__ == "__main__":
    main()
