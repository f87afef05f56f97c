"""Show that a table made by any executor, with cells, drivers and nodes killed, is that of its runs made by hand.

    python scripts/prove_executors.py --out runs/proof                              # exit code 0: every number is equal
    python scripts/prove_executors.py --out runs/proof --update docs/scale.md       # and the page says so
    python scripts/prove_executors.py --out runs/proof --learners finetune --seeds 0 --executors local    # a small one

Twelve cells of a tiny stream, on two processors some ten minutes of each: by hand (`cvis run`), with local processes,
with submitit on a stand-in for Slurm, and on a Ray cluster of two nodes on this machine. Then what an executor adds to
a cell that does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from check_resume import metrics
from reliability import updated

from cvis.atomic import write_text
from cvis.executors import Cell, execute
from cvis.executors.profile import Profile
from cvis.executors.ray import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "executors")]

from fake_slurm import Slurm, late  # noqa: E402
from tiny import SMALL, make_data  # noqa: E402
from toy_cells import parent  # noqa: E402

PATIENCE_S = 3600
SOME_MB = 100 << 20


@dataclass
class Table:
    """The sweep, and what happened to it."""

    out: Path
    learners: list[str]
    seeds: str
    told: list[str] = field(default_factory=list)
    gone: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.stream = make_data(self.out / "data")
        self.file = self.out / "table.toml"
        rows = "".join(f'[[rows]]\nname = "{name}"\nlearner = "{name}"\n' for name in self.learners)
        self.file.write_text(f'scenario = "{self.stream}"\n{rows}')
        self.settings = [word for text in SMALL for word in ("--set", text)]

    @property
    def cells(self) -> int:
        return len(self.learners) * len(self.seeds.split(","))

    def start(self, runs: str, *words: str) -> subprocess.Popen[str]:
        command = ("sweep", str(self.file), "--seeds", self.seeds, "--runs", str(self.out / runs), "--json", *words)
        with (self.out / f"{runs}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cvis", *command, *self.settings], stdout=subprocess.PIPE, stderr=log, text=True
            )

    def finish(self, runs: str, *words: str) -> str:
        """The same command once more, to its end: the table that it prints."""
        said, _ = self.start(runs, *words).communicate(timeout=PATIENCE_S)
        return said

    def by_hand(self) -> None:
        for name in self.learners:
            what = ("--learner", name, "--seeds", self.seeds, "--runs", str(self.out / "hand"))
            command = [sys.executable, "-m", "cvis", "run", str(self.stream), *what, *self.settings]
            with (self.out / "hand.log").open("a") as log:
                subprocess.run(command, check=True, stderr=log, stdout=log)

    def training(self, runs: str) -> Path | None:
        """A run that is inside a step after step 0 now, and to which nothing has happened yet."""
        found = (path.parents[1] for path in (self.out / runs).glob("*/*/*/seed*/step[1-9]*/last.pth"))
        return next((folder for folder in found if folder not in self.gone), None)

    def until_training(self, runs: str, where: Callable[[int], bool] = lambda pid: True) -> tuple[Path, int]:
        """Such a run, and the process that makes it."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_S:
            if (folder := self.training(runs)) and (pid := process_of(folder)) and where(pid):
                return folder, pid
            time.sleep(0.01)
        raise SystemExit(f"{runs}: no run was caught in training")

    def happened(self, folder: Path, what: str) -> None:
        self.gone.add(folder)
        self.told.append(what)
        print(f"{folder}: {what}", flush=True)

    def lose(self, runs: str, driver: subprocess.Popen[str]) -> None:
        """Kill the command itself while a run trains."""
        folder, _ = self.until_training(runs)
        driver.kill()
        driver.wait()
        self.happened(folder, "the driver killed")


def local(table: Table) -> str:
    words = ("--executor", "local", "--jobs", "2")
    driver = table.start("local", *words)
    folder, pid = table.until_training("local")
    os.kill(pid, signal.SIGKILL)
    table.happened(folder, "a cell killed")
    table.lose("local", driver)
    return table.finish("local", *words)


def slurm(table: Table) -> str:
    queue = Slurm(table.out / "spool")
    with pytest.MonkeyPatch.context() as patch:
        queue.install(patch)
        table.finish("slurm", "--executor", "slurm")
        last = sorted(queue.spool.glob("*.sh"))[-1]
        tasks = queue.tasks(int(last.stem))

        def killed(_: int) -> None:
            folder, pid = table.until_training("slurm")
            os.kill(pid, signal.SIGKILL)
            table.happened(folder, "a cell killed")

        def out_of_time(pid: int) -> None:
            late(lambda: table.training("slurm"))(pid)
            table.happened(table.training("slurm") or Path(), "a time-out requeued")

        queue.run({tasks[-1]: out_of_time, **({tasks[0]: killed} if len(tasks) > 1 else {})})
        table.finish("slurm", "--executor", "slurm")
        queue.run()
        return table.finish("slurm", "--executor", "slurm")


def ray(table: Table) -> str:
    os.environ.setdefault(*PATIENCE)
    from ray.cluster_utils import Cluster

    node = dict(num_cpus=1, object_store_memory=SOME_MB, include_dashboard=False)
    cluster = Cluster(initialize_head=True, head_node_args=node)
    other = cluster.add_node(**node)
    profile = table.out / "ray.toml"
    profile.write_text(f'address = "{cluster.address}"\n')
    words = ("--executor", "ray", "--profile", str(profile))
    try:
        driver = table.start("ray", *words)
        folder, pid = table.until_training("ray")
        os.kill(parent(pid), signal.SIGKILL)
        table.happened(folder, "a worker killed")
        raylet = other.all_processes["raylet"][0].process.pid
        folder, _ = table.until_training("ray", lambda pid: parent(parent(pid)) == raylet)
        cluster.remove_node(other, allow_graceful=False)
        table.happened(folder, "a node killed")
        table.lose("ray", driver)
        return table.finish("ray", *words)
    finally:
        cluster.shutdown()


def process_of(folder: Path) -> int | None:
    """The process that makes a run, by its command line."""
    runs, row, seed = folder.parents[3], folder.parts[-2], folder.name.removeprefix("seed")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        said = dict(pairwise(words))
        if f"runtime.runs={str(runs)!r}" in words and (said.get("--name"), said.get("--seed")) == (row, seed):
            return int(path.parent.name)
    return None


def overhead(executor: str, out: Path, count: int = 4) -> float:
    """Seconds that an executor adds to a process which does nothing, beside starting it by hand."""
    cells = [Cell(f"nothing/seed{i}", ("--version",), out / "a" / "b" / "nothing" / f"seed{i}") for i in range(count)]
    begun = time.monotonic()
    for _ in cells:
        subprocess.run([sys.executable, "-m", "cvis", "--version"], check=True, stdout=subprocess.DEVNULL)
    by_hand = time.monotonic() - begun
    with RUNNERS[executor](out) as work_off:
        begun = time.monotonic()
        execute(executor, cells, Profile(), lambda line: None)
        work_off()
        return (time.monotonic() - begun - by_hand) / count


@contextmanager
def at_once(out: Path) -> Iterator[Callable[[], None]]:
    yield lambda: None


@contextmanager
def queued(out: Path) -> Iterator[Callable[[], None]]:
    queue = Slurm(out / "spool")
    with pytest.MonkeyPatch.context() as patch:
        queue.install(patch)
        yield queue.run


@contextmanager
def connected(out: Path) -> Iterator[Callable[[], None]]:
    """To a cluster that is there already: it is not started for each cell."""
    import ray

    ray.init(num_cpus=1, object_store_memory=SOME_MB, include_dashboard=False, log_to_driver=False)
    yield lambda: None
    ray.shutdown()


EXECUTORS: Mapping[str, Callable[[Table], str]] = {"local": local, "slurm": slurm, "ray": ray}
RUNNERS = {"local": at_once, "slurm": queued, "ray": connected}


def numbers(runs: Path) -> dict[str, Any]:
    """Every number of every run, times aside."""
    paths = sorted(runs.glob("*/*/*/seed*/metrics.json"))
    return {str(path.parent.relative_to(runs)): metrics(path.parent) for path in paths}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--learners", default="finetune,mib,pseudo,replay")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--executors", default=",".join(EXECUTORS))
    parser.add_argument("--update", type=Path, help="a page with marks")
    asked = parser.parse_args()
    out = asked.out.absolute()
    out.mkdir(parents=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    table = Table(out, asked.learners.split(","), asked.seeds)
    table.by_hand()
    hand = numbers(out / "hand")
    assert len(hand) == table.cells
    printed = json.loads(table.finish("hand"))
    lines = ["| executor | what happened | numbers that differ | added to a cell |", "|---|---|---|---|"]
    differ = 0
    for name in asked.executors.split(","):
        table.told = []
        said = json.loads(EXECUTORS[name](table))
        found = numbers(out / name)
        wrong = [run for run in hand if hand[run] != found.get(run)] + ["the table"] * (said != printed)
        differ += len(wrong)
        added = overhead(name, out / f"{name}-idle")
        lines.append(f"| `{name}` | {', '.join(table.told)} | {', '.join(wrong) or 'none'} | {added:.1f} s |")
    what = f"{table.cells} cells, every number of their `metrics.json` and of the table, beside those made by hand:"
    text = "\n".join([what, "", *lines, ""])
    print(text)
    if asked.update and not differ:
        write_text(asked.update, updated(asked.update.read_text(encoding="utf-8"), "executors", text))
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
