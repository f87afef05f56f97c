"""Processes of this machine: order, failures, interruptions and what another process holds."""

from __future__ import annotations

import fcntl
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console
from toy_cells import starts

from cvis.cli.watch import _view, watch
from cvis.errors import UserError
from cvis.executors import execute
from cvis.executors.local import NEVER_BEGUN, _environments
from cvis.executors.process import exit_code, is_locked, last_lines
from cvis.executors.profile import Profile, read_profile
from cvis.executors.status import status_of
from cvis.runs.folder import locked


def run(cells, jobs=2):
    told = []
    return execute("local", cells, Profile(jobs=jobs), told.append), told


def test_cells_wait_for_what_they_need_and_fill_the_slots(toy):
    first = toy("a/seed0/step0", seconds=0.3)
    cells = [first, *(toy(f"{n}/seed0", after=first.name, seconds=0.3) for n in "abc")]
    codes, _ = run(cells)
    assert codes == {cell.name: 0 for cell in cells}
    a, b, c = (starts(cell) for cell in cells[1:])
    begun, again = a  # the cell of step 0 and the rest of its run share a folder
    assert again - begun > 0.3
    assert abs(again - b[0]) < 0.3 < c[0] - b[0]  # two at a time, the third when one is done
    assert all(cell.is_done for cell in cells)
    assert run(cells) == ({}, [])  # nothing is left to do


def test_a_run_whose_step_0_alone_was_wanted_waits(toy):
    run([toy("a/seed0/step0")])
    assert status_of(toy("a/seed0")).state == "waiting"


def test_cells_are_watched_until_none_is_left(toy, capsys):
    cells = [toy("a/seed0"), toy("b/seed0", "--fail"), toy("c/seed0/step0")]
    run(cells)
    shown = StringIO()
    Console(file=shown, width=60).print(_view([*cells, toy("c/seed0")], Console(width=60)))
    assert [line.split() for line in shown.getvalue().splitlines()] == [
        ["b/seed0", "failed", "broken:", "no", "such", "thing;", "mend", "it"],
        ["2", "done,", "1", "failed,", "1", "waiting"],
    ]
    watch(cells)
    assert capsys.readouterr().err.splitlines() == ["1 done, 1 failed"]


def test_watching_ends_where_a_cell_waits_for_one_that_failed(toy, capsys):
    first = toy("a/seed0/step0", "--fail")
    cells = [first, toy("a/seed0", after=first.name), toy("b/seed0", after=first.name), toy("c/seed0")]
    run(cells)
    watch(cells)
    said = ["1 done, 1 failed, 1 waiting", "b/seed0: not begun: it needs a/seed0/step0"]
    assert capsys.readouterr().err.splitlines() == said


def test_who_only_looks_keeps_nobody_out(toy):
    folder = toy("a/seed0").folder
    folder.mkdir(parents=True)
    looking = (folder / ".lock").open("a")
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.07, looking.close).start()
    with locked(folder):
        assert is_locked(folder)


def test_many_cells_are_looked_at_once_each(toy, monkeypatch):
    """Not all of them at every look: their files may be far away."""
    looked = []
    monkeypatch.setattr("cvis.executors.local.LOOK_S", 0)
    monkeypatch.setattr("cvis.executors.local.start", lambda cell, _: SimpleNamespace(poll=lambda: 0))
    monkeypatch.setattr("cvis.executors.local.is_locked", lambda folder: looked.append(folder))
    first = toy("a/seed0/step0")
    first.log.parent.mkdir(parents=True)
    cells = [first, *(toy(f"{i}/seed0", after=first.name) for i in range(100))]
    codes, _ = run(cells)
    assert codes == {cell.name: 0 for cell in cells}
    assert looked == [cell.folder for cell in cells]


def test_a_failure_stops_what_needs_it_and_nothing_else(toy):
    first = toy("a/seed0/step0", "--fail")
    cells = [first, toy("b/seed0", after=first.name), toy("c/seed0"), toy("d/seed0", "--fail")]
    codes, told = run(cells)
    assert codes == {first.name: 1, "b/seed0": NEVER_BEGUN, "c/seed0": 0, "d/seed0": 1}
    assert "d/seed0: failed: broken: no such thing; mend it" in told
    assert "b/seed0: not begun: it needs a/seed0/step0" in told
    assert [status_of(cell).state for cell in cells] == ["failed", "waiting", "done", "failed"]
    assert status_of(cells[3]).says == "broken: no such thing; mend it"
    again = [toy("d/seed0", "--fail-once")]
    assert run(again)[0] == {"d/seed0": 0}
    assert len(starts(again[0])) == 2


def test_what_another_process_works_on_is_waited_for(toy):
    cell = toy("a/seed0")
    cell.folder.mkdir(parents=True)
    with (cell.folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert status_of(cell).state == "running"
        threading.Timer(0.7, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        begun = time.time()
        codes, _ = run([cell])
    assert codes == {"a/seed0": 0}
    assert starts(cell)[0] - begun > 0.6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_cells_end_with_their_executor_and_go_on_with_the_next_one(toy, number):
    """Interrupted it stops them; killed, Linux does: nothing holds a lock that the next attempt wants."""
    slow = toy("a/seed0", seconds=60)
    driver = """
import pickle, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background of a shell ignores it
from cvis.executors.local import execute
from cvis.executors.profile import Profile
execute([pickle.loads(bytes.fromhex(sys.argv[1]))], Profile(), print)
"""
    cell = toy("a/seed0")
    process = subprocess.Popen([sys.executable, "-c", driver, pickle.dumps(slow).hex()], stdout=subprocess.DEVNULL)
    while not starts(cell):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(number)
    assert process.wait(20) != 0
    begun = time.time()
    while status_of(cell).state == "running" and exit_code(cell.log) is None and time.time() - begun < 5:
        time.sleep(0.05)
    codes, _ = run([cell])
    assert codes == {"a/seed0": 0}
    assert len(starts(cell)) == 2
    if number == signal.SIGINT:
        assert last_lines(cell.log, 3)[0] == "stopped"


def test_each_slot_has_its_share(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    slots = _environments(Profile(jobs=3, gpus=1))
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots.values()] == ["4", "5", "6"]
    assert {slot["OMP_NUM_THREADS"] for slot in slots.values()} == {"4"}
    with pytest.raises(UserError, match="gpus: 3 are visible here, not 2 jobs of 2; lower --jobs"):
        _environments(Profile(jobs=2, gpus=2))


def test_profiles_are_checked(tmp_path):
    file = tmp_path / "cluster.toml"
    file.write_text('gpus = 1\npartition = "gpu"\n[slurm]\nconstraint = "a100"\n')
    profile = read_profile(file, jobs=3)
    assert (profile.jobs, profile.gpus, profile.slurm) == (3, 1, {"constraint": "a100"})
    file.write_text("gpu = 1\n")
    with pytest.raises(UserError, match=r"cluster\.toml: gpu: 1: no such key; did you mean 'gpus'"):
        read_profile(file)
    with pytest.raises(UserError, match="--executor lokal: no such executor; did you mean 'local'"):
        execute("lokal", [], Profile(), print)
