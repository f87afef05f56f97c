"""How long a large sweep takes to plan, and how long to say how far it is: whole processes, as a user starts them.

    python benchmarks/sweep_scale.py                    # 5000 cells planned, 1000 finished ones looked at

It makes a sweep of that size, and files as finished runs leave them, in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LEARNERS = ("finetune", "joint", "mib", "comformer", "combo", "balconpas", "pseudo", "replay", "eclipse", "crisp")
STREAM, MODEL, STEPS = "synthetic-20-4", "mask2former_tiny", 6


def write_sweep(file: Path, rows: int) -> Path:
    """A sweep of so many rows, each of another configuration: every learner at ever other step sizes."""
    lines = [f'scenario = "{STREAM}"']
    for i in range(rows):
        settings = f'["schedule.incremental.lr={1e-4 * (1 + i):.4g}"]'
        lines.append(f'[[rows]]\nname = "row{i}"\nlearner = "{LEARNERS[i % len(LEARNERS)]}"\nsettings = {settings}')
    file.write_text("\n".join(lines) + "\n")
    return file


def write_finished(folder: Path, config: dict[str, Any], train_s: float = 60.0, eval_s: float = 10.0) -> None:
    """What a finished run leaves that others read: ``run.json`` and every ``metrics.json``, of the usual size."""
    classes = range(1, 41)
    joint = config["learner"]["type"] == "joint"
    steps = [
        {
            "step": t,
            "new_classes": [c for c in classes if joint or (c - 1) * STEPS // 40 == t],
            "train_s": train_s,
            "eval_s": eval_s,
            "mAP_all": 20.0,
            "per_class": {str(c): {"AP": 30.123456789, "AP50": 40.123456789, "AR10": 50.123456789} for c in classes},
        }
        for t in range(1 if joint else STEPS)
    ]
    content = {
        "schema": 1,
        "scenario": STREAM,
        "learner": config["names"]["run"],
        "segmenter": MODEL,
        "seed": config["runtime"]["seed"],
        "protocol": {},
        "steps": steps,
        "upper_bound": joint,
        "classes": {str(c): f"class {c}" for c in classes},
        "groups": [[c for c in classes if (c - 1) * STEPS // 40 == t] for t in range(STEPS)],
        "final": {"mAP": 20.0},
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(content))
    (folder / "run.json").write_text(json.dumps({"schema": 1, "status": "done", "config": config}))
    for step in steps:
        (folder / f"step{step['step']}").mkdir()
        (folder / f"step{step['step']}" / "metrics.json").write_text(json.dumps(step))


def timed(*words: str) -> tuple[float, float, str]:
    """Of a ``cvis`` process: seconds by the clock, seconds of a processor, and its last line."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "cvis", *words], capture_output=True, text=True, check=True)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--finished", type=int, default=1000)
    asked = parser.parse_args()
    from cvis.engine.sweep import plan
    from cvis.runs.sweep_file import read_sweep

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        large = write_sweep(Path("large.toml"), asked.cells // 5)
        some = write_sweep(Path("some.toml"), asked.finished // 5)
        five = ("--seeds", "0,1,2,3,4")
        for item in plan(read_sweep(str(some)), range(5)):
            write_finished(Path("runs", STREAM, MODEL, item.name), item.config.model_dump(mode="json"))
        for what, words in {
            f"plan of {asked.cells} cells": ("sweep", str(large), *five, "--plan", "--runs", "none"),
            f"plan of {asked.cells} cells, {asked.finished} done": ("sweep", str(large), *five, "--plan"),
            f"status of {asked.finished} finished": ("sweep", str(some), *five, "--status"),
        }.items():
            wall, processor, last = timed(*words)
            print(f"{what}: {wall:.2f} s by the clock, {processor:.2f} s of a processor ({last:.100})")


if __name__ == "__main__":
    main()
