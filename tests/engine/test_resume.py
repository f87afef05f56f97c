"""A run that stops, however it stops, goes on to the numbers of an uninterrupted one."""

import json

import pytest
import torch
from compared_runs import assert_same_run, weights
from interrupted import Killed, die_at
from tiny import settings

from cvis.engine.run import run
from cvis.errors import UserError
from cvis.learners.finetune import FineTune


def test_the_same_command_again_does_nothing(stream, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.json*")}
    assert run(settings(stream, finished.parents[3])) == finished
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.json*")} == before


def test_one_seed_gives_one_result_and_another_seed_another(stream, finished, tmp_path):
    assert_same_run(finished, run(settings(stream, tmp_path)))
    other = run(settings(stream, tmp_path, "finetune", "runtime.seed=1"))
    first = weights(finished), weights(other)
    assert any(not torch.equal(first[0][name], first[1][name]) for name in first[0])


@pytest.mark.parametrize("moments", [[(0, 3)], [(0, 4), (2, 1)], [(1, 2), (1, 4), (2, 4)]])
def test_an_interrupted_run_resumes_to_the_same_numbers(stream, finished, tmp_path, monkeypatch, moments):
    """Die in the middle of steps (also right at a checkpoint), resume, compare bit by bit."""
    plan = die_at(monkeypatch, moments)
    for _ in moments:
        with pytest.raises(Killed):
            run(settings(stream, tmp_path))
    assert not plan
    assert_same_run(finished, run(settings(stream, tmp_path)))


def test_a_run_that_is_to_stop_after_a_step_goes_on_to_the_same_numbers(stream, finished, tmp_path):
    for last in (0, 0, 1):
        folder = run(settings(stream, tmp_path), "cvis run --stop-after", stop_after=last)
        assert not (folder / "metrics.json").is_file()
        assert [step.name for step in sorted(folder.glob("step*"))] == [f"step{i}" for i in range(last + 1)]
    assert_same_run(finished, run(settings(stream, tmp_path), "cvis run"))
    assert json.loads((folder / "run.json").read_text())["command"] == "cvis run"  # the one that makes the whole run


def test_learners_find_the_same_mode_resumed_or_not(stream, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(FineTune, "end_task", lambda self, task: seen.append(("end", self.training)))
    original = FineTune.begin_task

    def begin(self, task):
        seen.append(("begin", self.training))
        original(self, task)

    monkeypatch.setattr(FineTune, "begin_task", begin)
    folder = run(settings(stream, tmp_path))
    (folder / "step2" / "metrics.json").unlink()
    run(settings(stream, tmp_path))
    assert set(seen) == {("begin", False), ("end", False)}


@pytest.mark.parametrize("moment", ["after model.pth", "after the store", "before done"])
def test_a_run_that_dies_between_two_files_resumes(stream, finished, tmp_path, monkeypatch, moment):
    from cvis.engine import store
    from cvis.runs.folder import RunWriter

    def die(*_arguments, **_named):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "after model.pth":
            patch.setattr(RunWriter, "write_step", die)
        elif moment == "after the store":
            original = store.StepZero.save
            patch.setattr(store.StepZero, "save", lambda *a, **k: (original(*a, **k), die()))
        else:
            original_run = RunWriter.write_run
            patch.setattr(RunWriter, "write_run", lambda *a, **k: (original_run(*a, **k), die()))
        with pytest.raises(Killed):
            run(settings(stream, tmp_path))
    folder = run(settings(stream, tmp_path))
    assert_same_run(finished, folder)
    assert json.loads((folder / "run.json").read_text())["status"] == "done"


def test_work_without_its_record_is_refused(stream, tmp_path):
    folder = run(settings(stream, tmp_path))
    (folder / "run.json").unlink()
    with pytest.raises(UserError, match=r"run\.json: is missing beside the work of a run|is missing beside finished"):
        run(settings(stream, tmp_path, "finetune", "schedule.incremental.iterations=2"))


def test_a_first_attempt_that_did_nothing_binds_nobody(stream, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("cvis.engine.run._train", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run(settings(stream, tmp_path))
    run(settings(stream, tmp_path, "finetune", "schedule.base.iterations=2"))


def test_a_damaged_checkpoint_is_named(stream, finished, tmp_path):
    """A checkpoint of a finished step that is damaged: a line that names it, and says to train that step again."""
    folder = run(settings(stream, tmp_path))
    (folder / "step1" / "metrics.json").unlink()
    (folder / "metrics.json").unlink()
    (folder / "step0" / "model.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"step0/model\.pth: is not a readable checkpoint"):
        run(settings(stream, tmp_path))


def test_a_run_folder_of_another_configuration_is_refused(stream, finished):
    with pytest.raises(UserError, match=r"schedule\.incremental\.iterations.*begun with 4, not 5.*--name"):
        run(settings(stream, finished.parents[3], "finetune", "schedule.incremental.iterations=5"))
