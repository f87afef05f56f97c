"""What a cell of `cvis matrix` costs with each model: a training iteration, the test, memory, and what a step stores.

    python benchmarks/model_cost.py                 # prints a table; some six minutes of an idle core
    python benchmarks/model_cost.py --rounds 1 --iterations 10

Each cell is a short run of fine-tuning on synthetic-20-4, step 0 and one step more, a process of its own with one
thread; the models take turns. Times and memory are of the second step, as its `metrics.json` has them, over those of
the first model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from ratios import Ratio, tell
from timed_process import python

MODELS = ("mask2former_tiny", "ctvis_tiny", "vistr_tiny", "crossvis_tiny", "st_pyramid_tiny")
STORED_BYTES = 4  # of a parameter, float32
R50_PARAMETERS = """
import sys
from cvis.engine.resolve import resolve
from cvis.segmenters import build_segmenter
model = build_segmenter(resolve("synthetic-20-4", "finetune", sys.argv[1]).segmenter)
model.add_classes(range(1, 21))
print(sum(parameter.numel() for parameter in model.parameters()))
"""


@dataclass(frozen=True)
class Cell:
    """What the step after step 0 said of itself, in each round, and what was asked of it."""

    model: str
    steps: tuple[dict[str, Any], ...]
    config: dict[str, Any]

    def ratios(self, other: Cell, key: str) -> list[float]:
        """Of each round."""
        return [one[key] / two[key] for one, two in zip(self.steps, other.steps, strict=True)]

    @property
    def stored_mb(self) -> float:
        """What a step adds to the disk."""
        return self.steps[0]["stored_params"] * STORED_BYTES / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL", help="the first is what others are of")
    parser.add_argument("--iterations", type=int, default=40, help="of each of the two steps")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        rounds = [
            {model: short_run(model, options.iterations, turn, Path(folder)) for model in options.models}
            for turn in range(options.rounds)
        ]
        cells = [cell(model, [of[model] for of in rounds]) for model in options.models]
    if options.json:
        tell(as_ratios(cells), as_json=True)
    else:
        print(table(cells))


def short_run(model: str, iterations: int, turn: int, folder: Path) -> Path:
    """Where a run of two steps, so many iterations each, left its files."""
    short = [f"schedule.{phase}.iterations={iterations}" for phase in ("base", "incremental")]
    settings = [*short, "runtime.shipped_step0=false", "runtime.loggers=[]"]
    run = [
        "synthetic-20-4",
        "--learner",
        "finetune",
        "--segmenter",
        model,
        "--stop-after",
        "1",
        "--name",
        f"turn{turn}",
    ]
    sets = [word for setting in settings for word in ("--set", setting)]
    return folder / python(["-m", "cvis", "run", *run, "--device", "cpu", *sets], folder).last_line


def cell(model: str, runs: Sequence[Path]) -> Cell:
    steps = tuple(json.loads((run / "step1" / "metrics.json").read_text()) for run in runs)
    return Cell(model, steps, json.loads((runs[0] / "run.json").read_text())["config"])


def as_ratios(cells: Sequence[Cell]) -> list[Ratio]:
    first = cells[0]
    measured = (("a training iteration", "train_s"), ("the test", "eval_s"), ("peak memory of training", "peak_mem_mb"))
    return [
        Ratio(f"{what} of {cell.model}, of {first.model}'s", cell.ratios(first, key))
        for cell in cells[1:]
        for what, key in measured
    ]


def table(cells: Sequence[Cell]) -> str:
    """As Markdown; where there are several rounds, means of them."""
    first = cells[0]
    lines = [
        "| model | clips x frames of an iteration | iteration | test | peak memory | parameters, millions "
        "| with R50 | stored by a step, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        times = [f"{mean(cell.ratios(first, key)):.2f}" for key in ("train_s", "eval_s", "peak_mem_mb")]
        large = int(python(["-c", R50_PARAMETERS, cell.model.replace("_tiny", "_r50")]).last_line)
        parameters = f"{cell.steps[0]['total_params'] / 1e6:.2f} | {large / 1e6:.1f}"
        shape = f"{cell.config['schedule']['batch_size']} x {cell.config['sampling']['num_frames']}"
        lines.append(f"| {cell.model} | {shape} | {' | '.join(times)} | {parameters} | {cell.stored_mb:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
