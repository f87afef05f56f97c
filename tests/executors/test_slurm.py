"""What is asked of Slurm, and what its jobs do: arrays, dependencies, failures, and time that runs out."""

from __future__ import annotations

import pytest
from fake_slurm import Slurm, late
from toy_cells import starts

from cvis.errors import UserError
from cvis.executors import execute
from cvis.executors.profile import Profile
from cvis.executors.status import status_of

PROFILE = Profile(partition="gpu", gpus=1, minutes=90, slurm={"constraint": "a100"})


def test_arrays_dependencies_and_failures(toy, tmp_path, monkeypatch):
    slurm = Slurm(tmp_path / "spool")
    slurm.install(monkeypatch)
    first = toy("a/seed0/step0")
    cells = [first, toy("c/seed0", "--fail"), *(toy(f"{n}/seed0", after=first.name) for n in "ab")]
    told = []
    monkeypatch.setattr("cvis.executors.locks_note", lambda folder: f"{folder}: is nfs")
    assert execute("slurm", cells, PROFILE, told.append) == {}
    assert told.pop(0) == f"{first.log.parent}: is nfs"  # once
    alone, after = slurm.options(100), slurm.options(101)
    assert (slurm.tasks(100), slurm.tasks(101)) == (["100_0", "100_1"], ["101_0", "101_1"])
    assert "dependency" not in alone
    assert after["dependency"] == "afterok:100_0"
    wanted = {"partition": "gpu", "gpus-per-node": "1", "time": "90", "constraint": "a100"}
    assert wanted.items() <= after.items()
    assert told[-1] == "b/seed0: job 101_1, after job 100_0"
    slurm.run()
    assert [status_of(cell).state for cell in cells] == ["done", "failed", "done", "done"]
    assert slurm.states == {"100_0": True, "100_1": False, "101_0": True, "101_1": True}


def test_a_job_whose_time_is_out_saves_and_is_queued_again(toy, tmp_path, monkeypatch):
    slurm = Slurm(tmp_path / "spool")
    slurm.install(monkeypatch)
    cell = toy("a/seed0", "--slow-once")
    execute("slurm", [cell], PROFILE, lambda line: None)
    slurm.run({"100": late(lambda: starts(cell))})
    assert len(starts(cell)) == 2
    assert "stopped" in cell.log.read_text()
    assert status_of(cell).state == "done"


def test_without_slurm_it_says_so(toy, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="--executor slurm: Could not detect"):
        execute("slurm", [toy("a/seed0")], PROFILE, lambda line: None)
