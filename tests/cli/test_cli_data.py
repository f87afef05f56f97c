"""``cvis data`` and ``cvis scenario`` on a small synthetic set, made by the command itself."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cvis.cli import app


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVIS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "synthetic"
    result = call("data", "synth", root, "--train", 120, "--test", 40)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{root}: 120 train videos, 40 test videos, seed 0\n"
    return root


def test_a_sound_data_set_passes(made):
    result = call("data", "check", made, "--dataset", "synthetic")
    assert result.exit_code == 0, result.stdout
    assert "0 errors" in result.stdout
    content = json.loads(call("data", "check", made, "--dataset", "synthetic", "--json").stdout)
    assert content["ok"] is True
    assert content["counts"]["train"]["videos"] == 120


def test_a_broken_frame_is_in_the_table_and_exits_1(made):
    frame = next((made / "test" / "JPEGImages").rglob("*.jpg"))
    content = frame.read_bytes()
    try:
        frame.write_bytes(content[:60])
        result = call("data", "check", made, "--dataset", "synthetic")
        listed = json.loads(call("data", "check", made, "--dataset", "synthetic", "--json").stdout)["problems"]
    finally:
        frame.write_bytes(content)
    assert result.exit_code == 1
    assert str(frame) in result.stdout
    assert "1 errors" in result.stdout
    assert [problem["file"] for problem in listed] == [str(frame)]


def test_an_unknown_data_set_is_the_users_mistake(made):
    result = call("data", "check", made, "--dataset", "imagenet")
    assert result.exit_code == 2
    assert "dataset: 'imagenet'" in result.stderr


def test_split_prints_and_writes_the_same(made, tmp_path):
    ann, out = made / "train.json", tmp_path / "split.json"
    ids = json.loads(call("data", "split", "--ann", ann, "--json").stdout)
    assert sorted(ids["train"] + ids["test"]) == sorted(v["id"] for v in json.loads(ann.read_text())["videos"])
    printed = call("data", "split", "--ann", ann, "--out", out).stdout
    assert json.loads(out.read_text()) == ids
    assert printed == f"{len(ids['train'])} train videos, {len(ids['test'])} test videos, sha256 {ids['sha256']}\n"


def test_every_shipped_stream_is_listed():
    listed = call("scenario", "list").stdout
    content = json.loads(call("scenario", "list", "--json").stdout)
    names = {entry["name"] for entry in content}
    assert {"synthetic-20-4", "ytvis2019-20-2", "ytvis2021-10-10", "ovis-15-5"} <= names
    assert all(name in listed for name in names)


def test_a_made_stream_shows_its_steps(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ann, frames = made / "train.json", made / "train" / "JPEGImages"
    result = call("scenario", "make", "--ann", ann, "--frames", frames, "--base", 32, "--inc", "5,3", "--split", "same")
    assert result.exit_code == 0, result.stderr
    path = result.stdout.splitlines()[0]
    assert path == "train-32-5-3.toml"
    content = json.loads(call("scenario", "show", path, "--json").stdout)
    assert [len(step["classes"]) for step in content["steps"]] == [32, 5, 3]
    shown = call("scenario", "show", path).stdout
    rows = [line.split() for line in shown.splitlines()[2:5]]
    keys = ("train_videos", "test_videos", "visible_instances", "hidden_instances")
    assert rows == [[str(s["step"]), str(len(s["classes"])), *(str(s[k]) for k in keys)] for s in content["steps"]]
    assert content["split_sha256"] in shown
    assert content["steps"][2]["classes"][0]["name"] in shown


def test_visibility_is_an_option_of_show(made, tmp_path):
    path = tmp_path / "s.toml"
    source = ["--ann", made / "train.json", "--frames", made / "train" / "JPEGImages", "--split", "same"]
    assert call("scenario", "make", *source, "--base", 39, "--inc", 1, "--out", path).stderr == ""
    unseen = call(
        "scenario", "make", *source[:2], "--split", "same", "--base", 39, "--inc", 1, "--out", tmp_path / "t.toml"
    )
    assert (unseen.exit_code, len(unseen.stderr.splitlines())) == (0, 1)
    assert "a run needs frames: --frames" in unseen.stderr
    hidden = {}
    for mode in ("overlap", "disjoint"):
        result = call("scenario", "show", path, "--visibility", mode, "--json")
        assert result.exit_code == 0, result.stderr
        hidden[mode] = [step["hidden_instances"] for step in json.loads(result.stdout)["steps"]]
    # step 0: overlap shows videos of the last class too, whose instances are then hidden; disjoint has none of them
    assert hidden["overlap"][0] > hidden["disjoint"][0] == 0
    assert call("scenario", "show", path, "--visibility", "some").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--base", 5, "--inc", "x"], "--inc x"),
        (["--base", 99, "--inc", 4], "base"),
        (["--base", 0, "--inc", 4], "base"),
    ],
)
def test_a_stream_that_cannot_be_made_writes_nothing(made, tmp_path, arguments, says):
    out = tmp_path / "s.toml"
    result = call("scenario", "make", "--ann", made / "train.json", "--out", out, *arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr
    assert not out.exists()


def test_an_unknown_stream_is_the_users_mistake():
    result = call("scenario", "show", "synthetic-20-3")
    assert result.exit_code == 2
    assert "did you mean" in result.stderr
