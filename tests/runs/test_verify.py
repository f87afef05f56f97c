"""``cvis verify``: whatever was edited in a run is found, and said where."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.evaluation import write_results
from cvis.runs.open import open_run
from cvis.runs.verify import verify
from cvis.types import Tracks


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A run of our own to edit."""
    return shutil.copytree(finished, tmp_path / "runs" / finished.relative_to(finished.parents[3]))


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def call(*words):
    return CliRunner().invoke(app, ["verify", *map(str, words)])


def test_an_honest_run_is_verified(folder):
    result = call(folder, "--json")
    assert result.exit_code == 0, result.stdout
    (run,) = json.loads(result.stdout)["runs"]
    assert run["verified"]
    assert run["differences"] == []
    assert [line for line in run["agrees"] if "scored again" in line] == [
        f"step {t}: its predictions, scored again" for t in range(3)
    ]
    assert len([line for line in run["agrees"] if "derived again" in line]) == 2
    assert len([line for line in run["agrees"] if "its digest, made again" in line]) == 3
    assert {line.partition(":")[0] for line in run["not_checked"]} >= {"weights", "training"}


def test_every_edit_is_found(folder):
    """A number, split, stream or setting edited in a finished run: `cvis verify` says where, and what it should be."""
    run, step = folder / "metrics.json", folder / "step1" / "metrics.json"
    record = folder / "run.json"
    edits = [
        (run, lambda m: m["final"].update(mAP=m["final"]["mAP"] + 1e-9), f"{run}: mAP: "),
        (run, lambda m: m["steps"][2]["per_class"]["1"].update(AP=99.0), f"{run}: steps[2]: per_class.1.AP: 99.0: "),
        (step, lambda m: m.update(mAP_new=1.0), f"{step}: mAP_new: 1.0: should be "),
        (run, lambda m: m["protocol"].update(split_sha256="0" * 64), f"{run}: split_sha256: '000"),
        (record, lambda r: r.update(scenario_hash="0" * 64), f"{record}: scenario_hash: '000"),
        (run, lambda m: m["protocol"]["schedule"].update(batch_size=16), f"{run}: schedule.batch_size: 16: "),
        (run, lambda m: m["groups"].reverse(), "groups"),
    ]
    for file, change, said in edits:
        before = file.read_bytes()
        edit(file, change)
        assert any(said in line for line in verify(folder).differences), said
        file.write_bytes(before)
    digest = folder / "step1" / "digest.npz"
    shutil.copy(folder / "step2" / "digest.npz", digest)
    assert verify(folder).differences == [f"{digest}: is not the digest of the predictions"]
    digest.unlink()
    assert not verify(folder).differences  # runs older than the file


def test_edited_predictions_are_found(folder):
    """Predictions of a finished run edited, cut off or gone: `cvis verify` says so."""
    test = open_run(folder).scenario().test
    perfect = []
    for video in test.videos:
        tracks = test.tracks[video.id]
        categories, masks = [track.category_id for track in tracks], [track.segmentations for track in tracks]
        perfect.append(Tracks(video.id, tuple(categories), (1.0,) * len(tracks), tuple(masks)))
    predictions = folder / "step2" / "predictions.json.gz"
    write_results(predictions, perfect)
    assert any("steps[2]: AP50: " in line and "should be 100.0" in line for line in verify(folder).differences)
    before = predictions.read_bytes()
    predictions.write_bytes(before[:-20])
    assert any("truncated" in line for line in verify(folder).differences)
    predictions.unlink()
    assert any("does not exist" in line for line in verify(folder).differences)


def test_another_data_set_is_found_and_a_missing_one_is_said(folder, stream, tmp_path):
    other = shutil.copytree(stream.parent, tmp_path / "data")
    edit(other / "test.json", lambda content: content["annotations"].pop())
    result = call(folder.parents[3], "--data", other)
    assert result.exit_code == 1
    assert "DIFFERS" in result.stdout
    assert "scenario_hash" in result.stdout
    result = call(folder, "--data", tmp_path / "nowhere")
    assert result.exit_code == 0
    assert "not checked: stream and predictions: " in result.stdout


def test_a_folder_of_several_runs_names_what_is_unfinished_or_damaged(folder):
    runs, second, third = folder.parents[3], folder.with_name("seed1"), folder.with_name("seed2")
    for copy in (second, third):
        shutil.copytree(folder, copy)
    (second / "metrics.json").unlink()
    (third / "metrics.json").write_text("{")
    result = call(runs)
    assert result.exit_code == 1
    assert f"{folder}: verified" in result.stdout
    assert f"{third}: DIFFERS" in result.stdout
    assert "is not complete JSON" in result.stdout
    assert f"{second}: not checked: is unfinished" in result.stderr
    shutil.rmtree(folder)
    shutil.rmtree(third)
    assert call(runs).exit_code == 2
