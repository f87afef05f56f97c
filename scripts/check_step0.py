"""Make the step-0 model that comes with cvis again, and compare every tensor: ``python scripts/check_step0.py``.

Takes some minutes. Equal to the last bit on the machine that made it; elsewhere it says how far apart the two are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

STORED = Path(__file__).resolve().parents[1] / "configs" / "step0"
COMMAND = "run synthetic-20-4 --learner finetune --stop-after 0 --set runtime.shipped_step0=false --logger none"


def main() -> int:
    (stored,) = STORED.glob("*/model.pth")
    with tempfile.TemporaryDirectory() as runs:
        words = [sys.executable, "-m", "cvis", *COMMAND.split(), "--runs", runs]
        subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        made = Path(runs) / "step0-store" / stored.parent.name / "model.pth"
        if not made.is_file():
            print(f"{stored.parent.name}: the command makes a model of another recipe")
            return 1
        old, new = (torch.load(path, weights_only=True)["state"] for path in (stored, made))
    if old.keys() != new.keys():
        print("the command makes other tensors")
        return 1
    apart = {name: float((old[name].double() - new[name].double()).abs().max()) for name in old if old[name].numel()}
    worst = max(apart, key=lambda name: apart[name])
    equal = all(torch.equal(old[name], new[name]) for name in old)
    print("equal: every tensor" if equal else f"not equal: {worst} by {apart[worst]:.3g}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
