"""GPU hours of a stream's whole protocol, learner by learner, from what `scripts/gpu_check.sh` measures on a GPU.

    python benchmarks/protocol_cost.py --iterations-per-s 4 --images-per-s 80 --relative eclipse=0.3 crisp=0.3

Iterations are those of the shipped schedule; `--iterations-per-s` counts finetune's, with the schedule's batch, and
`--relative` says of other learners how long an iteration of a later step takes of it (`distillation_cost.py` prints it;
1 where nothing is said). A test looks at every frame of the test videos; it comes after every step, but once for all of
them, at `ONE_PASS` times a test, for learners that can. Step 0 is trained once for all that share it. Reading frames,
checkpoints and scoring are taken to keep up.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

from cvis.data.datasets import known
from cvis.data.split import read_splits
from cvis.engine.resolve import resolve
from cvis.learners import LEARNERS, find_learner
from cvis.learners.joint import AllAtOnce
from cvis.scenario.order import divide
from cvis.scenario.spec import Spec, find_scenario, read_spec

ONE_PASS = 1.5
FRACTION = 0.2  # of the annotated videos, held out
FRAMES = 27  # of a video of YouTube-VIS 2019, on average


@dataclass(frozen=True)
class Cost:
    """Of one run of a learner; ``base`` is 0 where step 0 is that of another run."""

    learner: str
    base: int  # iterations
    later: int
    images: float  # that a test's model sees
    hours: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", default="ytvis2019-20-4")
    parser.add_argument("--iterations-per-s", type=float, required=True)
    parser.add_argument("--images-per-s", type=float, required=True)
    parser.add_argument("--relative", nargs="*", default=[], metavar="LEARNER=RATIO")
    parser.add_argument("--frames", type=float, default=FRAMES, help="of a test video, on average")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    relative = {name: float(ratio) for name, _, ratio in (pair.partition("=") for pair in options.relative)}
    if unknown := relative.keys() - LEARNERS.names():
        parser.error(f"--relative: {', '.join(sorted(unknown))}: no such learner")
    rates = options.iterations_per_s, options.images_per_s
    rows = costs(read_spec(find_scenario(options.stream)), rates, relative, options.frames)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print(f"{'learner':14} {'step 0':>7} {'later':>7} {'images':>9} {'hours':>7}")
    for row in rows:
        print(f"{row.learner:14} {row.base:7,} {row.later:7,} {row.images:9,.0f} {row.hours:7.2f}")
    print(f"{'one seed':14} {'':7} {'':7} {'':9} {sum(row.hours for row in rows):7.2f}")


def costs(spec: Spec, rates: tuple[float, float], relative: dict[str, float], frames: float) -> list[Cost]:
    """Of the step 0 that most learners share, then of every learner of ours.

    Args:
        rates: iterations and images a second.
        relative: of a learner's later iterations, their time over finetune's.
        frames: of a test video, on average.
    """
    steps = len(divide(known(spec.dataset).categories, spec.base, spec.increment, spec.name))
    images = count_test_videos(spec.dataset) * frames
    schedule = resolve(spec.name, "finetune", "mask2former_r50").schedule
    first, later, joint = (
        schedule.phase(is_base, joint, steps).iterations
        for is_base, joint in ((True, False), (False, False), (True, True))
    )

    def cost(name: str, base: int, later: int, tests: float) -> Cost:
        seconds = (base + later * relative.get(name, 1)) / rates[0] + tests * images / rates[1]
        return Cost(name, base, later, tests * images, seconds / 3600)

    rows = [cost("step 0", first, 0, 0)]
    for name in LEARNERS.names():
        learner = find_learner(name)
        if issubclass(learner, AllAtOnce):
            rows.append(cost(name, joint, 0, 1))
        else:
            tests = ONE_PASS if learner.one_pass else steps
            rows.append(cost(name, first * learner.own_step0, later * (steps - 1), tests))
    return rows


def count_test_videos(dataset: str) -> int:
    """As published with the data set's split, else the share of its annotated videos that is held out."""
    return read_splits().get(dataset, {}).get("test_videos") or round(FRACTION * known(dataset).train_videos)


if __name__ == "__main__":
    main()
