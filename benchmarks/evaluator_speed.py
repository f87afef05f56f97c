"""How much faster and smaller the evaluator is than the official way, on generated data.

Every run is a process of its own; the sides take turns, the median of each counts, and only ratios within one
invocation are printed. Both sides must give the same twelve numbers, to the last bit.

    python benchmarks/evaluator_speed.py --size val_10
    python benchmarks/evaluator_speed.py --size val_100 --repeats 3 --json
    python benchmarks/evaluator_speed.py --size steps

What is compared (official / ours):

memory    from parsed results in memory to the twelve numbers: loading or converting them, matching, curves;
          imports excluded
fallback  the same with CVIS_KERNEL=pycocotools
files     from two JSON files to the twelve numbers; our parse of the ground truth is cached; imports excluded
process   the same with the imports: what a short run of a fresh process gains
score     the whole of a process, as the shell starts it: `cvis score`, against python with the official evaluator
peak      the largest resident memory of that process; the goal is for 100 predictions a video
steps     eleven class-incremental steps (20, 22, ... 40 classes), each scored for its seen, base and new classes;
          results in memory. The official way loads them once a step and evaluates once for each distinct subset

Each ratio is of times on the clock; beside it stands that of CPU times, which other work on the machine moves less.
Compiled kernels and the parsed ground truth are cached by a run that does not count. val_100 needs 1 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from ratios import Ratio, tell
from timed_process import Done, python

Pairs = list[tuple[list[float], list[float]]]  # of every turn, the official way's and ours: by the clock, by CPU time

SIZES = {"small": (12, 10), "val_10": (302, 10), "val_100": (302, 100), "steps": (302, 10)}  # videos, predictions
GOALS = {"memory": 8, "fallback": 3, "files": 5, "process": 4, "score": 4, "peak": 4, "steps": 10}
IN_WORDS = {
    "memory": "results in memory to the twelve numbers",
    "fallback": "the same without the compiled kernel",
    "files": "from two files, imports excluded",
    "process": "the same with the imports",
    "score": "`cvis score`, the whole process",
    "peak": "peak memory of a process",
    "steps": "eleven steps, each for three sets of classes",
}
BASE, INCREMENT, CLASSES = 20, 2, 40


def official_whole(annotations: Path, results: Path) -> dict:
    start = _now()
    from official_rule import OfficialRule, summary

    imported = _now()
    rule = OfficialRule(json.loads(annotations.read_bytes()))
    entries = json.loads(results.read_bytes())
    parsed = _now()
    numbers = summary(*rule.evaluate(rule.load(entries)))
    stop = _now()
    times = {"memory": _since(parsed, stop), "files": _since(imported, stop), "process": _since(start, stop)}
    return {"numbers": numbers, "peak": _peak(), **times}


def _now() -> tuple[float, float]:
    """Seconds: on the clock, and of this process's own work."""
    return time.perf_counter(), time.process_time()


def _since(start: tuple[float, float], stop: tuple[float, float]) -> list[float]:
    return [b - a for a, b in zip(start, stop, strict=True)]


def _peak() -> list[int]:
    """The largest resident memory so far, in the unit of the system."""
    return [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]


def our_files(annotations: Path, results: Path) -> dict:
    start = _now()
    from cvis.evaluation import score_files

    numbers = list(score_files(annotations, results).summary().values())
    again, peak = _now(), _peak()
    score_files(annotations, results).summary()  # everything is imported now
    return {"numbers": numbers, "files": _since(again, _now()), "process": _since(start, again), "peak": peak}


def our_memory(annotations: Path, results: Path) -> dict:
    ground_truth, entries = _warm(annotations, results)
    start = _now()
    numbers = list(_score(ground_truth, entries).summary().values())
    return {"numbers": numbers, "memory": _since(start, _now())}


def official_steps(annotations: Path, results: Path) -> dict:
    from official_rule import OfficialRule, summary

    rule = OfficialRule(json.loads(annotations.read_bytes()))
    entries = json.loads(results.read_bytes())
    numbers, seconds = [], [0.0, 0.0]
    for seen in _steps():
        shown = _relabelled(entries, seen)
        start = _now()
        loaded = rule.load(shown)
        done = {}
        for subset in _subsets(seen):
            if subset not in done:
                done[subset] = summary(*rule.evaluate(loaded, subset))
            numbers += done[subset]
        seconds = [a + b for a, b in zip(seconds, _since(start, _now()), strict=True)]
    return {"numbers": numbers, "steps": seconds}


def our_steps(annotations: Path, results: Path) -> dict:
    ground_truth, entries = _warm(annotations, results)
    numbers, seconds = [], [0.0, 0.0]
    for seen in _steps():
        shown = _relabelled(entries, seen)
        start = _now()
        result = _score(ground_truth, shown)
        for subset in _subsets(seen):
            numbers += result.summary(subset).values()
        seconds = [a + b for a, b in zip(seconds, _since(start, _now()), strict=True)]
    return {"numbers": numbers, "steps": seconds}


def _warm(annotations: Path, results: Path) -> tuple:
    """The parsed files, once everything that is imported late has been imported."""
    from cvis.data.ytvis import read_ytvis

    entries = json.loads(results.read_bytes())
    _score(read_ytvis(annotations, None), entries[:1])
    return read_ytvis(annotations, None), entries


def _score(ground_truth, entries: list):
    from cvis.evaluation import score
    from cvis.evaluation.results import group_entries

    return score(ground_truth, (tracks for _, tracks in group_entries(entries, "results", ground_truth)))


def _steps() -> list[tuple[int, ...]]:
    return [tuple(range(1, seen + 1)) for seen in range(BASE, CLASSES + 1, INCREMENT)]


def _subsets(seen: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [seen, seen[:BASE], seen if len(seen) == BASE else seen[-INCREMENT:]]


def _relabelled(entries: list[dict], seen: tuple[int, ...]) -> list[dict]:
    """As many predictions at every step: those of classes to come are taken for known ones."""
    return [{**entry, "category_id": seen[(entry["category_id"] - 1) % len(seen)]} for entry in entries]


WORKERS: dict[str, Callable[[Path, Path], dict]] = {
    worker.__name__: worker for worker in (official_whole, our_files, our_memory, official_steps, our_steps)
}
COMMAND = "cvis score"
SIDES = {  # name of a run: worker, environment
    "official_whole": ("official_whole", {}),
    "our_files": ("our_files", {}),
    "our_memory": ("our_memory", {}),
    "our_fallback": ("our_memory", {"CVIS_KERNEL": "pycocotools"}),
    "our_score": (COMMAND, {}),
}
STEPS = {"official_steps": ("official_steps", {}), "our_steps": ("our_steps", {})}
MEASURED = {  # what is compared: runs of the official way and of ours, and what is taken of both
    "memory": ("official_whole", "our_memory", "memory"),
    "fallback": ("official_whole", "our_fallback", "memory"),
    "files": ("official_whole", "our_files", "files"),
    "process": ("official_whole", "our_files", "process"),
    "score": ("official_whole", "our_score", "score"),
    "peak": ("official_whole", "our_files", "peak"),
    "steps": ("official_steps", "our_steps", "steps"),
}


def work(name: str, folder: Path) -> None:
    """One run of one side, in this process; prints what it measured."""
    print(json.dumps(WORKERS[name](folder / "instances.json", folder / "results.json")))


def start(arguments: Sequence[str], folder: Path, **environment: str) -> Done:
    """Run a process with the caches in ``folder``."""
    return python(arguments, CVIS_CACHE=str(folder / "cache"), **environment)


def run(worker: str, folder: Path, environment: dict[str, str]) -> dict:
    """What one side measured, and as ``score`` what the whole of its process took."""
    if worker == COMMAND:
        files = ("--ann", str(folder / "instances.json"), "--pred", str(folder / "results.json"))
        done = start(["-m", "cvis", "score", *files, "--json"], folder, **environment)
        found = {"numbers": list(json.loads(done.output).values())}
    else:
        done = start([__file__, "--worker", worker, "--keep", str(folder)], folder, **environment)
        found = json.loads(done.last_line)
    return {**found, "score": [done.wall, done.processor]}


def compare(size: str, folder: Path, repeats: int, seed: int) -> tuple[bool, dict[str, Pairs]]:
    """Whether all numbers are equal, and of everything compared the values of both sides in every turn."""
    sides = STEPS if size == "steps" else SIDES
    start([__file__, "--generate", size, "--seed", str(seed), "--keep", str(folder)], folder)
    for name, (worker, environment) in sides.items():  # compiles kernels and parses the ground truth
        if name.startswith("our"):
            run(worker, folder, environment)
    runs: dict[str, list[dict]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, (worker, environment) in sides.items():
            runs[name].append(run(worker, folder, environment))
    equal = all(run["numbers"] == own[0]["numbers"] for own in zip(*runs.values(), strict=True) for run in own)
    pairs = {
        what: [(a[key], b[key]) for a, b in zip(runs[official], runs[ours], strict=True)]
        for what, (official, ours, key) in MEASURED.items()
        if official in runs
    }
    return equal, pairs


def generate(size: str, folder: Path, seed: int) -> None:
    from evaluator_data import write

    write(folder, *SIZES[size], seed=seed)


def goal_of(what: str, size: str) -> int | None:
    return None if what == "peak" and size != "val_100" else GOALS[what]


def show(size: str, pairs: dict[str, Pairs]) -> None:
    print(f"{'size':8} {'what':9} {'official / ours':>15} {'by CPU time':>12} {'goal':>6}")
    for what, turns in pairs.items():
        sides = [[median(values) for values in zip(*side, strict=True)] for side in zip(*turns, strict=True)]
        by_clock, *by_cpu = [f"{a / b:.1f}" for a, b in zip(*sides, strict=True)]
        print(f"{size:8} {what:9} {by_clock:>15} {''.join(by_cpu):>12} {goal_of(what, size) or '':>6}")


def ratio(size: str, what: str, turns: Pairs) -> Ratio:
    """By the clock, ours of the official way's."""
    goal = goal_of(what, size)
    values = [ours[0] / official[0] for official, ours in turns]
    videos, predictions = SIZES[size]
    said = f"{IN_WORDS[what]}, {videos} videos of {predictions} predictions, of the official way's"
    return Ratio(said, values, None if goal is None else 1 / goal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["val_10"], help="what to run (default: val_10)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the data (default: 0)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the generated files there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--generate", choices=SIZES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.keep)
        return
    if options.generate:
        generate(options.generate, options.keep, options.seed)
        return
    ratios: list[Ratio] = []
    for size in options.size:
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.keep / size if options.keep else Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            equal, pairs = compare(size, folder, options.repeats, options.seed)
        if not equal:
            raise SystemExit(f"{size}: the numbers are NOT EQUAL")
        ratios += [ratio(size, what, turns) for what, turns in pairs.items()]
        if not options.json:
            show(size, pairs)
    if options.json:
        tell(ratios, as_json=True)


if __name__ == "__main__":
    main()
