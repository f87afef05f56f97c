"""A trained run on videos that its data set does not have."""

import json
import shutil

import pytest
from tiny import settings
from typer.testing import CliRunner

from cvis.cli.app import app
from cvis.data.videoset import VideoSet
from cvis.engine.predict import load_trained
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.evaluation import read_results
from cvis.types import Category, Video

CLI = CliRunner()


@pytest.fixture(scope="module")
def moved(finished, tmp_path_factory):
    """A finished run, taken away from its data set."""
    folder = tmp_path_factory.mktemp("moved") / "seed0"
    shutil.copytree(finished, folder)
    record = folder / "run.json"
    record.write_text(record.read_text().replace("tiny.toml", "gone.toml"))
    return folder


def own_videos(stream) -> VideoSet:
    content = json.loads((stream.parent / "test.json").read_text())
    videos = [
        Video(v["id"], "v", v["height"], v["width"], tuple(stream.parent / "test" / name for name in v["file_names"]))
        for v in content["videos"]
    ]
    return VideoSet(tuple(Category(c["id"], c["name"]) for c in content["categories"]), tuple(videos), {}, "")


@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_model_of_a_step_is_the_one_that_was_trained(stream, finished, moved, step):
    """On the run's own test videos it finds, number for number, what the run stored."""
    videos = own_videos(stream)
    trained = load_trained(moved, step, "cpu")
    stored = {t.video_id: t for t in read_results(finished / f"step{step}" / "predictions.json.gz", videos)}
    assert {t.video_id: t for t in trained.predict(videos.videos)} == stored
    assert trained.classes == dict(list({1: "red", 2: "green", 3: "blue", 4: "grey"}.items())[: step + 2])


def test_prompt_learners_and_joint_are_rebuilt_too(stream, tmp_path):
    tiny_clip = "learner.text_encoder={'model': 'tiny', 'pretrained': 'random'}"
    quick = ("schedule.base.iterations=1", "schedule.incremental.iterations=1")
    small = ("learner.num_prompts=2", tiny_clip, "segmenter.dim=64")
    videos = own_videos(stream)
    for config in (settings(stream, tmp_path, "crisp", *quick, *small), settings(stream, tmp_path, "joint", *quick)):
        folder = run(config)
        trained = load_trained(folder)
        last = folder / f"step{trained.step}" / "predictions.json.gz"
        assert list(trained.predict(videos.videos)) == list(read_results(last, videos))
        assert set(trained.classes) == {1, 2, 3, 4}


def test_what_cannot_be_loaded_is_named(moved, tmp_path):
    with pytest.raises(UserError, match=r"run.json: does not exist: not the folder of a run"):
        load_trained(tmp_path)
    with pytest.raises(UserError, match=r"--step 3: .* has the steps 0 to 2"):
        load_trained(moved, 3)
    folder = shutil.copytree(moved, tmp_path / "seed0")
    (folder / "step1" / "model.pth").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"step1/model.pth: is not a readable checkpoint"):
        load_trained(folder, device="cpu")
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"the run is unfinished"):
        load_trained(folder)


def test_the_command_writes_results_a_listing_and_pictures(stream, finished, moved, tmp_path):
    clips = [str(stream.parent / "test" / name) for name in ("v001", "v000")]
    out = tmp_path / "out" / "found.json.gz"
    command = ["predict", str(moved), *clips, "--out", str(out), "--visualize", str(tmp_path / "p.png"), "--json"]
    result = CLI.invoke(app, [*command, "--min-score", "0", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [(v["id"], v["name"], v["frames"]) for v in said["videos"]] == [(1, "v001", 3), (2, "v000", 3)]
    listing = json.loads((out.parent / "found.videos.json").read_text())
    assert [(v["id"], v["source"]) for v in listing["videos"]] == [(1, clips[0]), (2, clips[1])]
    assert [c["name"] for c in listing["categories"]] == ["red", "green", "blue", "grey"]
    assert {p.name for p in tmp_path.glob("p*.png")} == {"p-v001.png", "p-v000.png"}
    videos = own_videos(stream)  # ids 1 and 2 are v000 and v001 there: the other way round
    stored = {t.video_id: t for t in read_results(finished / "step2" / "predictions.json.gz", videos)}
    found = {t.video_id: t for t in read_results(out, videos)}
    assert found[1].segmentations == stored[2].segmentations
    assert found[2].scores == stored[1].scores


def test_the_command_says_how_many_tracks_it_does_not_show(stream, moved, tmp_path):
    command = ["predict", str(moved), str(stream.parent / "test" / "v001"), "--out", str(tmp_path / "found.json")]
    said = CLI.invoke(app, [*command, "--min-score", "1", "--device", "cpu"]).stdout.splitlines()
    assert said[0].split()[-1] == "below"
    number = said[1].split()[-1]
    assert int(number) > 0
    assert any(line.startswith(f"{number} tracks lie below 1, the best at 0.") for line in said)


def test_videos_may_be_looked_at_in_another_way_than_in_the_run(stream, moved, tmp_path):
    videos = own_videos(stream).videos
    followed = load_trained(moved, overrides=["segmenter.test.tracking=queries", "segmenter.test.window=1"])
    assert followed.learner.segmenter.inference.tracking == "queries"
    assert followed.predict(videos) != load_trained(moved).predict(videos)
    clip = str(stream.parent / "test" / "v001")
    command = ["predict", str(moved), clip, "--out", str(tmp_path / "a.json"), "--set", "segmenter.test.top_k=2"]
    assert CLI.invoke(app, command).exit_code == 0
    assert len(json.loads((tmp_path / "a.json").read_text())) == 2
    assert json.loads((tmp_path / "a.videos.json").read_text())["info"]["set"] == ["segmenter.test.top_k=2"]


def test_the_command_refuses_in_one_line(moved, tmp_path):
    for arguments, message in (
        (["x", "--set", "segmenter.dim=8"], "--set segmenter.dim=8: is not segmenter.test.key=value"),
        (["x", "--set", "segmenter.test.tracking=some"], "segmenter.test.tracking: 'some': unknown; use one of none, "),
        (["nothing.mp4"], "nothing.mp4: does not exist"),
        (["x", "--out", "a.txt"], "--out a.txt: '.txt': not a results file"),
        (["x", "--visualize", "a.gif"], "--visualize a.gif: '.gif'"),
    ):
        result = CLI.invoke(app, ["predict", str(moved), *arguments])
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
