"""What the tests of all steps cost in one pass over the videos, against the test of the last step alone.

    OMP_NUM_THREADS=1 python benchmarks/one_pass.py runs/synthetic-20-2/mask2former_tiny/eclipse/seed0 --videos 20

On the checkpoints of a finished run of a learner with ``one_pass``. Per video: what the last step's ``predict`` takes,
what ``predict_steps`` takes for all steps, and, with ``--each``, what the steps take one after the other; in processor
time of this process. The videos are taken in turns, so that whatever else the machine does meets all alike. All answers
are compared, and must be equal.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ratios import Ratio, tell

from cvis.engine.predict import load_trained
from cvis.runs.open import open_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--each", action="store_true", help="time every step on its own, too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    opened = open_run(options.run)
    steps = [load_trained(options.run, step, "cpu").learner for step in range(len(opened.result.steps))]
    last, heads = steps[-1], [learner.heads() for learner in steps]
    seconds: dict[str, list[float]] = {"last": [], "one pass": [], "each": []}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begun = time.process_time()
        answer = work()
        seconds[name].append(time.process_time() - begun)
        return answer

    videos = opened.scenario().test.videos[: options.videos + 1]
    with torch.inference_mode():
        for video in videos:
            alone = timed("last", lambda: last.predict(video))  # noqa: B023  # called at once
            every = timed("one pass", lambda: last.predict_steps(video, heads))  # noqa: B023
            each = timed("each", lambda: [one.predict(video) for one in steps]) if options.each else every  # noqa: B023
            if alone != every[-1] or each != every:
                raise SystemExit(f"video {video.name}: the answers differ")
    last_alone = seconds["last"][1:]  # in the first video is what is loaded or compiled once
    ratios = []
    for name, what, aim in (("one pass", "in one pass", 1.5), ("each", "one after the other", None)):
        if own := seconds[name][1:]:
            values = [value / alone for value, alone in zip(own, last_alone, strict=True)]
            ratios.append(Ratio(f"the tests of all {len(steps)} steps {what}, of the last one alone", values, aim))
    tell(ratios, options.json)


if __name__ == "__main__":
    main()
