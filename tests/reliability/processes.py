"""``cvis run`` in processes that may die: forked from one that has imported everything, so that each costs a second."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from tiny import SMALL

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes to come: two threads for such small work only wait
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["cvis.cli", "cvis.engine.run", "cvis.learners.crisp", "cvis.learners.comformer"])
PATIENCE = 240  # seconds, of a run of two on an idle machine
KILLED = -signal.SIGKILL

Change = Callable[[], None]
"""Called in the process before it runs: what goes wrong in it."""


class Stream:
    """Runs of one learner on the tiny stream into one folder, one after the other or several at a time.

    Args:
        settings: further ``key=value``.
    """

    def __init__(self, scenario: Path, runs: Path, learner: str = "finetune", *settings: str) -> None:
        self.runs, self.learner = runs, learner
        self.folder = runs / "tiny" / "mask2former_tiny" / learner / "seed0"
        self.log = runs.with_name(f"{runs.name}.log")
        words = [word for setting in (*SMALL, *settings) for word in ("--set", setting)]
        self.command = ["cvis", "run", str(scenario), "--learner", learner, "--runs", str(runs), *words]

    def start(self, change: Change | None = None, *options: str, **environment: str) -> BaseProcess:
        told = {"CVIS_CACHE": os.environ["CVIS_CACHE"], **environment}
        process = FORKS.Process(target=_cvis, args=([*self.command, *options], told, self.log, change))
        process.start()
        return process

    def run(self, change: Change | None = None, *options: str) -> int:
        """Until it ends: its exit code."""
        return ended(self.start(change, *options))

    def start_two(self, *changes: Change | None) -> list[BaseProcess]:
        """As ``torchrun --nproc_per_node=2`` starts them: all that it tells them is in their environment."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        ranks = ({**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2))
        return [
            self.start(change, "--launcher", "pytorch", **rank)
            for rank, change in zip(ranks, changes or (None, None), strict=True)
        ]

    @property
    def said(self) -> list[str]:
        """All that these processes have printed, by lines; never a traceback."""
        lines = self.log.read_text().splitlines()
        assert not [line for line in lines if line.startswith("Traceback")], "\n".join(lines)
        return lines


def ended(process: BaseProcess) -> int:
    process.join(PATIENCE)
    if (code := process.exitcode) is None:
        process.kill()
        raise AssertionError(f"still at work after {PATIENCE} s")
    return code


def wait_for(path: Path, process: BaseProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


def _cvis(words: list[str], environment: dict[str, str], log: Path, change: Change | None) -> None:
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.argv = words
    if change is not None:
        change()
    from cvis.cli import main

    main()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_writing(name: str, number: int, moment: str) -> Change:
    """Killed when it writes a file of this name the so many-th time: with half of it written, before it or after it
    has got its name."""
    return partial(_die_writing, name, number, moment)


def _die_writing(name: str, number: int, moment: str) -> None:
    replace, left = os.replace, [number]

    def dying(source, target, **how):
        left[0] -= Path(target).name == name
        if Path(target).name != name or left[0]:
            return replace(source, target, **how)
        if moment == "half":
            os.truncate(source, os.path.getsize(source) // 2)
        if moment == "after":
            replace(source, target, **how)
        return _die()

    os.replace = dying


def dies_predicting(number: int) -> Change:
    """Killed at the so many-th video of its evaluations."""
    return partial(_die_predicting, number)


def _die_predicting(number: int) -> None:
    from cvis.engine import evaluate

    predict, left = evaluate._predict, [number]

    def dying(*arguments):
        left[0] -= 1
        return predict(*arguments) if left[0] else _die()

    evaluate._predict = dying


def lingers_in(work: str, sign: Path) -> Change:
    """Slow in ``training`` or ``evaluation``; once it is there, the file ``sign`` is."""
    return partial(_linger_in, work, sign)


def _linger_in(work: str, sign: Path) -> None:
    from cvis.engine import evaluate, train

    module, name = (train, "check_loss") if work == "training" else (evaluate, "_predict")
    original, calls = getattr(module, name), [0]

    def slow(*arguments):
        calls[0] += 1
        if calls[0] == 2:
            sign.touch()
        if calls[0] >= 2:
            time.sleep(0.3)
        return original(*arguments)

    setattr(module, name, slow)
