"""Every ratio that is promised of cvis's speed and memory, measured in one go on this machine; `make bench` runs it.

    python benchmarks/run_all.py            # writes benchmarks/RESULTS.md; some ten minutes of two idle cores
    python benchmarks/run_all.py --long     # a video of 3,600 frames too

Each benchmark is a process of its own with one thread, one after the other. One that fails has a row that says so with
the last line of what it said; the others go on, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ratios import Ratio
from timed_process import Failed, python

from cvis.atomic import write_text

ROOT = Path(__file__).resolve().parents[1]
RUN = "runs/synthetic-20-2/mask2former_tiny/eclipse/seed0"
ENVIRONMENT = """
import json, torch
from cvis.engine.environment import describe_environment
print(json.dumps(describe_environment(torch.device("cpu"))))
"""
NOT_HERE = """
Not in this table, because they compare with code of an earlier version: the first opening of an annotation file, and
`cvis score` and `cvis data check`, against what they took before. [What it costs](../docs/performance.md) has them.
"""


@dataclass(frozen=True)
class Benchmark:
    """The words of a command behind ``python``; it prints what :func:`ratios.tell` does, unless it only prepares."""

    command: str
    prepares: bool = False

    @property
    def name(self) -> str:
        return Path(self.command.removeprefix("-m ").split()[0]).stem


def benchmarks(long: bool = False) -> list[Benchmark]:
    """All, with settings small enough for ten minutes together; they run in one empty folder.

    Args:
        long: a video of 3,600 frames too, which takes a minute or two more.
    """
    eclipse = "-m cvis run synthetic-20-2 --learner eclipse --device cpu --evaluate one-pass"
    methods = "eclipse crisp eclipse-views crisp-views mib comformer combo balconpas pseudo"
    short = "schedule.incremental.iterations=2 --set runtime.loggers=[]"
    return [
        Benchmark(f"benchmarks/distillation_cost.py --rounds 2 --methods {methods}"),
        Benchmark("benchmarks/anchor_cost.py --rounds 2 --frames 12"),
        Benchmark("benchmarks/video_speed.py --frames 10 --repeats 2"),
        Benchmark("benchmarks/video_speed.py --frames 30 --repeats 1"),
        Benchmark("benchmarks/frame_speed.py --rounds 2"),
        Benchmark("benchmarks/attention_speed.py"),
        Benchmark(f"{eclipse} --set {short}", prepares=True),
        Benchmark(f"benchmarks/one_pass.py {RUN} --videos 12"),
        Benchmark(f"benchmarks/long_video.py {RUN} --frames 36 360{' 3600' * long}"),
        Benchmark("benchmarks/evaluator_speed.py --size val_10 --repeats 2"),
        Benchmark("benchmarks/index_speed.py"),
        Benchmark("benchmarks/check_speed.py"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    parser.add_argument("--long", action="store_true", help="a video of 3,600 frames too")
    options = parser.parse_args()
    return run_all(benchmarks(options.long), options.out)


def run_all(asked: Sequence[Benchmark], out: Path) -> int:
    """Run the benchmarks, write ``out``; 1 if one of them failed, else 0."""
    head = machine()  # first, since the load shall be the machine's own
    lines, failed = ["| benchmark | ratio | mean (least to greatest) | at most | |", "|---|---|---|---|---|"], 0
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in asked:
            begun = time.monotonic()
            try:
                ratios = measured(benchmark, Path(folder))
            except Failed as error:
                failed = 1
                lines.append(f"| {benchmark.name} | **failed**: {cell(str(error))} | | | |")
            else:
                lines += [row(benchmark.name, ratio) for ratio in ratios]
            print(f"{time.monotonic() - begun:6.0f} s  {benchmark.command}", file=sys.stderr, flush=True)
    commands = "\n".join(f"    python {benchmark.command}" for benchmark in asked)
    table = "\n".join(lines)
    write_text(out, f"# Ratios of one run\n\n{head}\n\n{table}\n{NOT_HERE}\n## The commands\n\n{commands}\n")
    return failed


def measured(benchmark: Benchmark, folder: Path) -> list[Ratio]:
    """What a benchmark says, run in ``folder``.

    Raises:
        Failed: it ended otherwise than well, or said nothing that can be read.
    """
    words = shlex.split(benchmark.command)
    script = [] if words[0].startswith("-") else [str(ROOT / words.pop(0))]
    said = python([*script, *words, *([] if benchmark.prepares else ["--json"])], folder).last_line
    try:
        return [] if benchmark.prepares else [Ratio(**ratio) for ratio in json.loads(said)["ratios"]]
    except (ValueError, LookupError, TypeError) as error:
        raise Failed(f"its last line has no ratios: {said}") from error


def row(name: str, ratio: Ratio) -> str:
    aim = "" if ratio.aim is None else f"{ratio.aim:.2f}"
    return f"| {name} | {cell(ratio.what)} | {ratio.spread} | {aim} | {ratio.verdict} |"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def machine() -> str:
    """Processor, threads, versions and commit: what a reader needs to judge a difference; this process stays small,
    because Linux counts the memory of who starts a process in that process's peak.
    """
    found = json.loads(python(["-c", ENVIRONMENT]).last_line)
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE)
    versions = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    git = found["git"] or {"commit": "unknown", "modified": False}
    facts = {
        "processor": f"{model[1] if model else 'unknown'}, {os.cpu_count()} cores, {found['threads']} thread used",
        "load before": f"{os.getloadavg()[0]:.1f} processes",
        "system": f"{found['platform']}, Python {found['python']}",
        "versions": f"cvis {found['cvis']}, {versions}",
        "commit": git["commit"] + " and changes" * git["modified"],
        "command": f"`{shlex.join(['python', 'benchmarks/run_all.py', *sys.argv[1:]])}`",
    }
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


if __name__ == "__main__":
    sys.exit(main())
