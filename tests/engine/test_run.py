"""A whole run on a tiny stream: its files, what learners share, its refusals."""

import gzip
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from compared_runs import assert_same_run, metrics, weights
from tiny import settings
from typer.testing import CliRunner

from cvis.cli.app import app
from cvis.engine import checkpoint
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.learners.finetune import FineTune
from cvis.scenario import AnnotationLeak


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
            from cvis.learners.finetune import FineTune

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


def test_a_gradient_that_is_not_finite_names_its_clips(stream, tmp_path):
    """A gradient that is not finite: stops before it does harm, and names the clips."""
    plugin = tmp_path / "steep.py"
    plugin.write_text(
        textwrap.dedent("""
            import torch
            from cvis.learners.finetune import FineTune

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


def test_a_loss_that_is_not_finite_names_step_iteration_and_clips(stream, tmp_path):
    plugin = tmp_path / "exploding.py"
    plugin.write_text(
        textwrap.dedent("""
            from cvis.learners.finetune import FineTune

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
    from cvis.runs.folder import locked, run_folder

    config = settings(stream, tmp_path)
    with locked(run_folder(config.model_dump(), "tiny")), pytest.raises(UserError, match="another process is at work"):
        run(config)


def test_a_full_disk_ends_in_one_line_and_leaves_no_half_file(stream, tmp_path, monkeypatch):
    def full(*_arguments, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"last\.pth: cannot be written: No space left on device"):
        run(settings(stream, tmp_path))
    assert not list(tmp_path.rglob("*.pth"))
    assert not list(tmp_path.rglob("*.tmp"))


def in_two_processes(script: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # of last bits
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=400, env=environment)
    assert said.returncode == 0, said.stdout + said.stderr


def test_two_processes_train_one_run(stream, tmp_path):
    """torchrun on the CPU: each process takes its share of clips and videos, one result comes out.

    Its predictions are, to the byte, those that one process makes; and one process does not go on with it.
    """
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
    in_two_processes(script)
    folder = tmp_path / "tiny" / "mask2former_tiny" / "finetune" / "seed0"
    assert len(metrics(folder)["steps"]) == 3
    with gzip.open(folder / "step2" / "predictions.json.gz", "rt") as file:
        assert {entry["video_id"] for entry in json.load(file)} == {1, 2, 3, 4}
    schedule = settings(stream, tmp_path).schedule
    for step, phase in zip(metrics(folder)["steps"], (schedule.base, *[schedule.incremental] * 2), strict=True):
        effective = {"processes": 2, "batch_size": 2, "batch_size_per_process": 1, "lr": phase.lr}
        assert step["training"] == effective
    record = json.loads((folder / "run.json").read_text())
    assert (record["processes"], record["batch_size_per_process"]) == (2, 1)
    assert not list(folder.glob("step*/*-of-*"))
    again = tmp_path / "again"
    said = CliRunner().invoke(app, ["predict-test", str(folder), "--out", str(again), "--device", "cpu"])
    assert said.exit_code == 0, said.output
    for name in ("predictions.json.gz", "digest.npz"):
        assert (again / name).read_bytes() == (folder / "step2" / name).read_bytes()
    with pytest.raises(UserError, match="processes: this run was begun with 2, not 1; "):
        run(settings(stream, tmp_path))


def test_a_loss_that_is_not_finite_in_one_process_stops_both(stream, tmp_path):
    """A loss that is not finite, in one of two processes: both stop before it does harm, and name loss and clips."""
    script = tmp_path / "one_explodes.py"
    script.write_text(
        textwrap.dedent(f"""
            import os, sys
            sys.path.insert(0, {str(Path(__file__).parents[1])!r})
            from pathlib import Path
            from tiny import settings
            from cvis.engine.run import run
            from cvis.errors import UserError
            from cvis.learners.finetune import FineTune
            original, rank = FineTune.loss, os.environ["RANK"]

            def loss(self, clip):
                losses = original(self, clip)
                return {{**losses, "boom": losses["loss_cls"] * (float("inf") if rank == "1" else 1)}}

            FineTune.loss = loss
            try:
                run(settings(Path({str(stream)!r}), Path({str(tmp_path)!r}), "finetune", "runtime.launcher=pytorch"))
            except UserError as error:
                Path({str(tmp_path)!r}, f"rank{{rank}}.txt").write_text(str(error))
        """)
    )
    in_two_processes(script)
    first, second = ((tmp_path / f"rank{rank}.txt").read_text() for rank in (0, 1))
    assert first.startswith("step 0, iteration 0: loss is not finite in another process")
    assert second.startswith("step 0, iteration 0: loss is not finite (boom) on clips v")


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
