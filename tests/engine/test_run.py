"""A whole run on a tiny stream: its files, its resumption, its refusals."""

import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from tiny import settings

from cvis.engine import checkpoint
from cvis.engine.hooks import CheckpointInStep
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.learners.finetune import FineTune
from cvis.scenario import AnnotationLeak

TIMES = ("train_s", "eval_s", "peak_mem_mb")


def metrics(folder: Path) -> dict:
    """A run's metrics without its name and what differs from machine to machine and from hour to hour."""
    content = json.loads((folder / "metrics.json").read_text())
    content.pop("learner")
    for step in content["steps"]:
        for key in TIMES:
            step.pop(key)
    return content


def weights(folder: Path, steps: int = 3) -> dict:
    return checkpoint.overlay([folder / f"step{i}" / "model.pth" for i in range(steps)])


def assert_same_run(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for step in range(3):
        file = f"step{step}/predictions.json.gz"
        assert (one / file).read_bytes() == (other / file).read_bytes()


@pytest.fixture(scope="module")
def finished(stream, tmp_path_factory) -> Path:
    return run(settings(stream, tmp_path_factory.mktemp("runs")))


def test_a_run_leaves_the_files_of_the_design(finished):
    assert finished.parts[-4:] == ("tiny", "mask2former_tiny", "finetune", "seed0")
    content = json.loads((finished / "metrics.json").read_text())
    assert content["schema"] == 1
    assert [step["new_classes"] for step in content["steps"]] == [[1, 2], [3], [4]]
    last = content["steps"][-1]
    for key in ("mAP_all", "mAP_seen", "mAP_base", "mAP_old", "mAP_new", "AP50", "AP75", "AR1", "AR10"):
        assert 0 <= last[key] <= 100, key
    assert set(last["per_class"]) == {"1", "2", "3", "4"}
    assert set(last["per_class"]["1"]) == {"AP", "AP50", "AP75", "AR1", "AR10"}
    for key in (
        "mAP",
        "AP50",
        "AP75",
        "AR1",
        "AR10",
        "FR",
        "FR_normalized",
        "forgetting",
        "bwt",
        "avg_incremental_mAP",
    ):
        assert key in content["final"], key
    record = json.loads((finished / "run.json").read_text())
    assert record["status"] == "done"
    assert record["split_sha256"] == content["protocol"]["split_sha256"]
    assert record["init"]["source"] == "random"
    assert record["init"]["matched"] == 0
    assert not (finished / "step0" / "last.pth").exists()


def test_predictions_carry_data_set_ids_of_seen_classes_only(finished):
    for step, seen in enumerate(({1, 2}, {1, 2, 3}, {1, 2, 3, 4})):
        with gzip.open(finished / f"step{step}" / "predictions.json.gz", "rt") as file:
            entries = json.load(file)
        assert entries
        assert {entry["category_id"] for entry in entries} <= seen


def test_a_step_stores_only_what_it_changed_and_the_backbone_stays(finished):
    first, later = (checkpoint.load(finished / f"step{i}" / "model.pth")["state"] for i in (0, 1))
    assert any(name.startswith("segmenter.backbone.") for name in first)
    assert later
    assert not any(name.startswith("segmenter.backbone.") for name in later)


def test_without_freezing_the_backbone_moves(stream, tmp_path):
    folder = run(settings(stream, tmp_path, "finetune", "protocol.freeze=none", "schedule.base.iterations=2"))
    later = checkpoint.load(folder / "step1" / "model.pth")["state"]
    assert any(name.startswith("segmenter.backbone.") for name in later)


def test_the_same_command_again_does_nothing(stream, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.json*")}
    assert run(settings(stream, finished.parents[3])) == finished
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.json*")} == before


def test_one_seed_gives_one_result_and_another_seed_another(stream, finished, tmp_path):
    assert_same_run(finished, run(settings(stream, tmp_path)))
    other = run(settings(stream, tmp_path, "finetune", "runtime.seed=1"))
    first = weights(finished), weights(other)
    assert any(not torch.equal(first[0][name], first[1][name]) for name in first[0])


class Killed(BaseException):
    """Stands for a process that dies: nothing in the engine may catch it."""


@pytest.mark.parametrize("moments", [[(0, 3)], [(0, 4), (2, 1)], [(1, 2), (1, 4), (2, 4)]])
def test_an_interrupted_run_resumes_to_the_same_numbers(stream, finished, tmp_path, monkeypatch, moments):
    """Die in the middle of steps (also right at a checkpoint), resume, compare bit by bit."""
    plan = list(moments)
    original = CheckpointInStep.after_train_iter

    def dying(self, runner, *arguments, **named):
        original(self, runner, *arguments, **named)
        step = int(self.file.parent.name.removeprefix("step"))
        if plan and plan[0] == (step, runner.iter + 1):
            plan.pop(0)
            raise Killed

    monkeypatch.setattr(CheckpointInStep, "after_train_iter", dying)
    for _ in moments:
        with pytest.raises(Killed):
            run(settings(stream, tmp_path))
    assert not plan
    assert_same_run(finished, run(settings(stream, tmp_path)))


def test_a_run_killed_by_the_system_resumes_to_the_same_numbers(stream, finished, tmp_path):
    """The same with SIGKILL and a fresh process, as on a real machine."""
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from pathlib import Path
        from tiny import settings
        from cvis.engine.run import run
        from cvis.engine.hooks import Report
        original = Report.after_train_iter
        def slowly(*arguments, **named):  # so that the kill falls into the step
            import time
            time.sleep(0.2)
            return original(*arguments, **named)
        Report.after_train_iter = slowly
        run(settings(Path({str(stream)!r}), Path({str(tmp_path)!r})))
    """)
    folder = tmp_path.joinpath(*finished.parts[-4:])
    for wanted in ("step0/last.pth", "step2/last.pth"):
        process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ})
        deadline = time.monotonic() + 120
        while not (folder / wanted).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL  # it was still at work
    assert_same_run(finished, run(settings(stream, tmp_path)))


def test_learners_share_step_zero(stream, finished, tmp_path):
    """A second learner takes the stored model: same predictions at step 0, no second training."""
    runs = finished.parents[3]
    folder = run(settings(stream, runs, name="again"))
    assert json.loads((folder / "run.json").read_text())["step0"]["reused"] is True
    assert_same_run(finished, folder)


def test_a_method_that_came_first_does_not_change_the_shared_step_zero(stream, finished, tmp_path):
    """Step 0 is plain training whoever runs first, unless a learner says that its own differs."""
    plugin = tmp_path / "silent.py"
    plugin.write_text(
        textwrap.dedent("""
            from cvis.learners import FineTune

            class Silent(FineTune):
                def loss(self, clip):
                    return {name: 0 * value for name, value in super().loss(clip).items()}

            class Own(Silent):
                own_step0 = True
        """)
    )
    first = run(settings(stream, tmp_path, f"{plugin}:Silent"))
    assert_same = weights(first, 1), weights(finished, 1)
    assert all(torch.equal(assert_same[0][name], assert_same[1][name]) for name in assert_same[1])
    own = weights(run(settings(stream, tmp_path, f"{plugin}:Own")), 1)
    assert any(not torch.equal(own[name], assert_same[1][name]) for name in own)
    assert_same_run(finished, run(settings(stream, tmp_path)))


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
    from cvis.engine import journal, store

    def die(*_arguments, **_named):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "after model.pth":
            patch.setattr(journal.Journal, "write_step", die)
        elif moment == "after the store":
            original = store.StepZero.save
            patch.setattr(store.StepZero, "save", lambda *a, **k: (original(*a, **k), die()))
        else:
            original_run = journal.Journal.write_run
            patch.setattr(journal.Journal, "write_run", lambda *a, **k: (original_run(*a, **k), die()))
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
        patch.setattr("cvis.engine.run._do_step", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run(settings(stream, tmp_path))
    run(settings(stream, tmp_path, "finetune", "schedule.base.iterations=2"))


def test_a_gradient_that_is_not_finite_names_its_clips(stream, tmp_path):
    plugin = tmp_path / "steep.py"
    plugin.write_text(
        textwrap.dedent("""
            import torch
            from cvis.learners import FineTune

            class Steep(FineTune):
                own_step0 = True

                def loss(self, clip):
                    weight = self.segmenter.class_heads.no_object.weight
                    zero = (weight - weight.detach()).sum()
                    return {**super().loss(clip), "steep": torch.sqrt(zero.clamp(min=0) + 0 * zero)}
        """)
    )
    with pytest.raises(UserError, match=r"iteration 0: gradient norm is nan on clips v\d+\["):
        run(settings(stream, tmp_path, f"{plugin}:Steep"))


def test_a_bad_frame_is_one_line_also_from_a_worker_process(stream, tmp_path):
    import shutil

    data = tmp_path / "data"
    shutil.copytree(stream.parent, data)
    for frame in (data / "train").rglob("*.jpg"):
        frame.write_bytes(b"no picture")
    with pytest.raises(UserError) as caught:
        run(settings(data / "tiny.toml", tmp_path, "finetune", "runtime.workers=1"))
    assert "\n" not in str(caught.value)
    assert ".jpg" in str(caught.value)


def test_another_recipe_is_another_step_zero(stream, finished):
    runs = finished.parents[3]
    folder = run(settings(stream, runs, "finetune", "schedule.base.lr=2e-3", name="faster"))
    assert json.loads((folder / "run.json").read_text())["step0"]["reused"] is False


def test_joint_learns_all_classes_in_one_step(stream, tmp_path):
    folder = run(settings(stream, tmp_path, "joint"))
    content = json.loads((folder / "metrics.json").read_text())
    assert [step["new_classes"] for step in content["steps"]] == [[1, 2, 3, 4]]
    assert content["upper_bound"] is True
    assert content["steps"][0]["mAP_seen"] == content["steps"][0]["mAP_all"]
    assert content["final"]["FR"] is None
    assert not (tmp_path / "step0-store").exists()


def test_a_run_folder_of_another_configuration_is_refused(stream, finished):
    with pytest.raises(UserError, match=r"schedule\.incremental\.iterations.*begun with 4, not 5.*--name"):
        run(settings(stream, finished.parents[3], "finetune", "schedule.incremental.iterations=5"))


def test_a_loss_that_is_not_finite_names_step_iteration_and_clips(stream, tmp_path):
    plugin = tmp_path / "exploding.py"
    plugin.write_text(
        textwrap.dedent("""
            from cvis.learners import FineTune

            class Exploding(FineTune):
                own_step0 = True

                def loss(self, clip):
                    losses = super().loss(clip)
                    return {**losses, "boom": losses["loss_cls"] * float("inf")}
        """)
    )
    with pytest.raises(UserError, match=r"step 0, iteration 0: loss is not finite \(boom\) on clips v\d+\["):
        run(settings(stream, tmp_path, f"{plugin}:Exploding"))


def test_a_learner_that_shows_other_classes_is_stopped(stream, tmp_path, monkeypatch):
    from cvis.scenario import load_scenario

    everything = load_scenario(str(stream)).train
    monkeypatch.setattr(FineTune, "train_data", lambda self, task: everything)
    with pytest.raises(AnnotationLeak, match="step 0 must not see"):
        run(settings(stream, tmp_path))


def test_two_processes_cannot_share_a_run(stream, tmp_path):
    from cvis.engine.journal import locked, run_folder

    config = settings(stream, tmp_path)
    with locked(run_folder(config, "tiny")), pytest.raises(UserError, match="another process is at work"):
        run(config)


def test_a_full_disk_ends_in_one_line_and_leaves_no_half_file(stream, tmp_path, monkeypatch):
    def full(*_arguments, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"last\.pth: cannot be written: No space left on device"):
        run(settings(stream, tmp_path))
    assert not list(tmp_path.rglob("*.pth"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_damaged_checkpoint_is_named(stream, finished, tmp_path):
    folder = run(settings(stream, tmp_path))
    (folder / "step1" / "metrics.json").unlink()
    (folder / "metrics.json").unlink()
    (folder / "step0" / "model.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"step0/model\.pth: is not a readable checkpoint"):
        run(settings(stream, tmp_path))


def test_two_processes_train_one_run(stream, tmp_path):
    """torchrun on the CPU: each rank takes its share of clips and videos, one result comes out."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    script = tmp_path / "two.py"
    script.write_text(
        textwrap.dedent(f"""
            import sys
            sys.path.insert(0, {str(Path(__file__).parents[1])!r})
            from pathlib import Path
            from tiny import settings
            from cvis.engine.run import run
            run(settings(Path({str(stream)!r}), Path({str(tmp_path)!r}), "finetune", "runtime.launcher=pytorch"))
        """)
    )
    subprocess.run([*command, str(script)], check=True, capture_output=True, timeout=200)
    folder = tmp_path / "tiny" / "mask2former_tiny" / "finetune" / "seed0"
    assert len(metrics(folder)["steps"]) == 3
    with gzip.open(folder / "step2" / "predictions.json.gz", "rt") as file:
        assert {entry["video_id"] for entry in json.load(file)} == {1, 2, 3, 4}


def test_a_launcher_that_did_not_launch_is_named(stream, tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UserError, match="not started by torchrun"):
        run(settings(stream, tmp_path, "finetune", "runtime.launcher=pytorch"))


def test_bf16_is_in_force_and_trains(stream, finished, tmp_path):
    folder = run(settings(stream, tmp_path, "finetune", "runtime.amp=bf16", "schedule.incremental.iterations=1"))
    mine, full = weights(folder, 1), weights(finished, 1)
    assert all(torch.isfinite(value).all() for value in mine.values())
    assert any(not torch.equal(mine[name], full[name]) for name in full)
    assert all(value.dtype == full[name].dtype for name, value in mine.items())  # master weights stay fp32
