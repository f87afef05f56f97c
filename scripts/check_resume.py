"""Show that a run killed by SIGKILL, twice, ends with the numbers of an uninterrupted one.

    python scripts/check_resume.py --out runs/resume        # exit code 0: equal

Runs `cvis run` in processes of their own: once undisturbed, once killed in the middle of step 0 and again in the
middle of step 2. Then compares every number of metrics.json (times aside), the predictions of every step byte
by byte, and every weight.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

TIMES = ("train_s", "eval_s", "peak_mem_mb")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="synthetic-20-4")
    parser.add_argument("--learner", default="finetune")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two runs; must not exist yet")
    parser.add_argument("--scale", default="0.03", help="of the schedule's iterations")
    options = parser.parse_args()
    if options.out.exists():
        print(f"{options.out}: exists; name another folder or remove it", file=sys.stderr)
        return 2
    whole, killed = (start(options, name) for name in ("whole", "killed"))
    subprocess.run(whole, check=True, stderr=subprocess.DEVNULL)
    for step in (0, 2):
        kill_in(killed, options.out / "killed", step)
    subprocess.run(killed, check=True, stderr=subprocess.DEVNULL)
    differences = compare(find(options.out / "whole"), find(options.out / "killed"))
    print("\n".join(differences) or "equal: metrics, predictions and weights")
    return bool(differences)


def start(options: argparse.Namespace, name: str) -> list[str]:
    settings = (f"schedule.scale={options.scale}", "runtime.checkpoint_every=3", "runtime.device=cpu")
    command = ["cvis", "run", options.scenario, "--learner", options.learner, "--runs", str(options.out / name)]
    return command + [part for setting in settings for part in ("--set", setting)]


def kill_in(command: list[str], runs: Path, step: int) -> None:
    """Start the run and kill it as soon as its first checkpoint inside this step is there."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any(runs.rglob(f"step{step}/last.pth")):
        if process.poll() is not None:
            raise SystemExit(f"the run ended before its step {step} could be killed (exit code {process.returncode})")
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    print(f"killed in step {step}")


def find(runs: Path) -> Path:
    return next(runs.rglob("seed*/metrics.json")).parent


def compare(one: Path, other: Path) -> list[str]:
    import torch

    differences = []
    if metrics(one) != metrics(other):
        differences.append("metrics.json differs")
    for mine in sorted(one.glob("step*/predictions.json.gz")):
        if mine.read_bytes() != (other / mine.relative_to(one)).read_bytes():
            differences.append(f"{mine.relative_to(one)} differs")
    for mine in sorted(one.glob("step*/model.pth")):
        a, b = (torch.load(p, weights_only=True)["state"] for p in (mine, other / mine.relative_to(one)))
        same = a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        if not same:
            differences.append(f"{mine.relative_to(one)} differs")
    return differences


def metrics(folder: Path) -> dict:
    content = json.loads((folder / "metrics.json").read_text())
    for step in content["steps"]:
        for key in TIMES:
            step.pop(key)
    return content


if __name__ == "__main__":
    sys.exit(main())
