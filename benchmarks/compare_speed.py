"""How long ``cvis compare`` takes on many runs, as a process of its own: with all imports.

python benchmarks/compare_speed.py --runs 200
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cvis.evaluation.measures import COLUMNS

STEPS, CLASSES, LEARNERS, SEEDS = 11, 40, 8, 5
GROUPS = [list(range(1, CLASSES - STEPS + 2)), *([c] for c in range(CLASSES - STEPS + 2, CLASSES + 1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_runs(Path(folder), options.runs)
        for arguments in ([], ["--baseline", "learner0"], ["--format", "json"]):
            times = [seconds(folder, arguments) for _ in range(options.repeats)]
            print(f"{options.runs} runs {' '.join(arguments):22s} {min(times):.2f} s (best of {options.repeats})")


def seconds(folder: str, arguments: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).parent / "cvis", "compare", folder, *arguments], check=True, capture_output=True
    )
    return time.perf_counter() - begun


def write_runs(root: Path, count: int, learners: int = LEARNERS) -> None:
    """Folders as `cvis run` leaves them, of 11 steps with 40 classes each; as many scenarios as these learners need."""
    rng = random.Random(0)
    for number in range(count):
        scenario, rest = divmod(number, learners * SEEDS)
        learner, seed = divmod(rest, SEEDS)
        folder = root / f"scenario{scenario}" / "mask2former_r50" / f"learner{learner}" / f"seed{seed}"
        steps = [_step(rng, step) for step in range(STEPS)]
        for step in steps:
            place = folder / f"step{step['step']}"
            place.mkdir(parents=True)
            (place / "metrics.json").write_text(json.dumps(step, indent=1))
        (folder / "run.json").write_text("{}")
        (folder / "metrics.json").write_text(json.dumps(_run(rng, scenario, learner, seed, steps), indent=1))


def _step(rng: random.Random, step: int) -> dict[str, object]:
    names = ("AP", "AP50", "AP75", "AR1", "AR10")
    per_class = {str(c): {name: 100 * rng.random() for name in names} for c in range(1, CLASSES + 1)}
    totals = {name: 100 * rng.random() for name in ("mAP_all", "mAP_seen", "mAP_base", "AP50", "AP75", "AR1", "AR10")}
    return {"schema": 1, "step": step, "new_classes": GROUPS[step], **totals, "per_class": per_class}


def _run(
    rng: random.Random, scenario: int, learner: int, seed: int, steps: list[dict[str, object]]
) -> dict[str, object]:
    return {
        "schema": 1,
        "scenario": f"scenario{scenario}",
        "learner": f"learner{learner}",
        "segmenter": "mask2former_r50",
        "seed": seed,
        "protocol": {"split_sha256": "ab" * 32, "init": "coco", "schedule": {"base": {"iterations": 20000}}},
        "classes": {str(c): f"class {c}" for c in range(1, CLASSES + 1)},
        "groups": GROUPS,
        "steps": steps,
        "final": {name: 100 * rng.random() for name in COLUMNS},  # a run's file has them all
    }


if __name__ == "__main__":
    main()
