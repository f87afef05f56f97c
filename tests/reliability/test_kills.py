"""Runs that are killed go on to the numbers of runs that were not: metrics, predictions and weights, bit by bit.

``CVIS_KILLS=20`` is the long form: so many kills of each learner, at moments drawn by chance.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from compared_runs import assert_same_run
from processes import KILLED, Stream, dies_predicting, dies_writing, ended, lingers_in, wait_for

KILLS = int(os.environ.get("CVIS_KILLS", "2"))
PER_RUN = 4  # a run that is killed more often than this is begun anew
FILES = (
    "last.pth",
    "model.pth",
    "trained.json",
    "predictions.json.gz",
    "metrics.json",
    "run.json",
    "config.py",
    "recipe.json",
)
WHOLE_S = 1.5  # what a run takes, about: later moments would find none


def strike(stream: Stream, chance: random.Random, number: int) -> bool:
    """Start the run and kill it at some moment; False if it was finished by then."""
    kind = number % 3
    if kind == 0:
        written = dies_writing(chance.choice(FILES), chance.randint(1, 3), chance.choice(("half", "before", "after")))
        return stream.run(written) == KILLED
    if kind == 1:
        process = stream.start()
        time.sleep(chance.uniform(0.05, WHOLE_S))
        process.kill()
        return ended(process) == KILLED
    return stream.run(dies_predicting(chance.randint(1, 8))) == KILLED


@pytest.mark.parametrize("learner", ["crisp", "replay", "comformer"])
def test_killed_at_any_moment(stream, undisturbed, tmp_path, learner, record_property):
    """SIGKILL, out of memory, a machine that goes down: the same command again goes on to the same bits."""
    chance, kills, attempts = random.Random(learner), 0, 0
    while kills < KILLS:
        again = Stream(stream, tmp_path / f"runs{kills}", learner)
        for _ in range(min(PER_RUN, KILLS - kills)):
            survived = strike(again, chance, attempts)
            attempts += 1
            kills += survived
            if not survived:
                break
        assert again.run() == 0
        assert_same_run(undisturbed(learner), again.folder)
        assert json.loads((again.folder / "run.json").read_text())["status"] == "done"
        assert not list(again.folder.rglob("*.tmp"))
        assert attempts < 10 * KILLS
    record_property("kills", kills)


def test_two_processes_killed_inside_a_step(stream, tmp_path, record_property):
    """SIGKILL of a run on two processes (as torchrun starts them): goes on to the same bits, inside a step too."""
    whole, killed = (Stream(stream, tmp_path / name, "finetune") for name in ("whole", "killed"))
    assert [ended(process) for process in whole.start_two()] == [0, 0]
    first, second = killed.start_two(dies_writing("last.pth", 2, "after"), None)  # after iteration 4 of 6
    assert ended(first) == KILLED
    second.kill()
    ended(second)
    assert not (killed.folder / "step0" / "metrics.json").exists()
    # Then a signal, that only one of the two gets:
    sign = tmp_path / "at work"
    first, second = killed.start_two(lingers_in("training", sign), None)
    wait_for(sign, first)
    os.kill(second.pid, signal.SIGTERM)
    assert [ended(first), ended(second)] == [128 + signal.SIGTERM] * 2
    assert [ended(process) for process in killed.start_two()] == [0, 0]
    assert_same_run(whole.folder, killed.folder)
    record_property("kills", 1)


def test_signals(stream, undisturbed, tmp_path):
    """SIGTERM and Ctrl-C: save the iteration they meet; exit codes 143 and 130, and a sentence on how to go on."""
    stopped = Stream(stream, tmp_path / "runs", "replay", "runtime.checkpoint_every=1000")
    for work, signum, where in (
        ("training", signal.SIGTERM, "step 0: stopped after iteration "),
        ("evaluation", signal.SIGINT, "step 0 (1 of 3) test: stopped; "),
    ):
        sign = tmp_path / work
        process = stopped.start(lingers_in(work, sign))
        wait_for(sign, process)
        os.kill(process.pid, signum)
        assert ended(process) == 128 + signum
        assert stopped.said[-1].startswith(f"cvis: {where}")
        assert stopped.said[-1].endswith("the same command goes on from there")
        assert (stopped.folder / "step0" / ("last.pth" if work == "training" else "trained.json")).is_file()
        assert not (stopped.folder / "step0" / "metrics.json").exists()
    assert stopped.run() == 0
    assert any("resuming at iteration " in line for line in stopped.said)
    assert_same_run(undisturbed("replay"), stopped.folder)


def test_a_second_signal_does_not_wait(stream, tmp_path):
    """Ctrl-C twice: stops at once, with what the last checkpoint holds."""
    stopped = Stream(stream, tmp_path / "runs", "finetune")
    sign: Path = tmp_path / "at work"
    process = stopped.start(lingers_in("evaluation", sign))
    wait_for(sign, process)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    assert ended(process) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert "stopped" in stopped.said[-1]
