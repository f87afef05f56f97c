"""``cvis visualize`` and the pictures of a run, on the tiny stream."""

import json
import shutil

import numpy as np
import pytest
from picture_videos import read_mp4
from PIL import Image
from typer.testing import CliRunner

from cvis.cli.app import app
from cvis.errors import UserError
from cvis.report.pictures.identities import colour_of
from cvis.report.pictures.recorded import open_recorded

CLI = CliRunner()


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "finetune" / "seed0")


def test_ground_truth_comes_first_then_every_step(finished):
    panels = open_recorded(finished).panels(2, min_score=0.0)
    titles = ["ground truth", "step 0: 2 classes", "step 1: 3 classes", "step 2: 4 classes"]
    assert [panel.title for panel in panels.columns] == titles
    assert [label.name for label in panels.columns[0].labels] == ["green", "blue"]  # as the data set was made
    assert all(len(panel.tracks) for panel in panels.columns[1:])
    assert panels.heading == "finetune  tiny  video v001  scores ≥ 0"
    assert len(list(panels)) == 3


def test_the_masks_are_those_of_the_file(finished):
    """The first annotated object of video 2 is a green rectangle: its pixels are, and get the first colour."""
    panels = open_recorded(finished).panels(2, steps=[0])
    picture = panels.at(0, (320, 480))[0]
    with Image.open(panels.video.frames[0]) as image:
        frame = np.asarray(image.resize((480, 320), Image.Resampling.NEAREST)).astype(int)
    green = (frame[..., 1] > 150) & (frame[..., 0] < 100) & (frame[..., 2] < 100)
    inside = np.median(picture[green].astype(int), axis=0)
    expected = (np.median(frame[green], axis=0) + colour_of(0)) / 2
    assert np.abs(inside - expected).max() < 8


def test_a_video_is_found_by_id_and_by_name(finished):
    recorded = open_recorded(finished)
    assert recorded.video(3).id == recorded.video("3").id == recorded.video("v002").id == 3
    with pytest.raises(UserError, match=r"--video 77: not a test video of tiny, which has 4: 1 \(v000\)"):
        recorded.video(77)


def test_a_step_that_is_not_finished_is_refused(copied):
    (copied / "metrics.json").unlink()
    (copied / "step2" / "metrics.json").unlink()
    assert len(open_recorded(copied).panels(1).columns) == 3  # what is finished can be seen
    with pytest.raises(UserError, match=r"--step 2: .*choose of 0 to 1"):
        open_recorded(copied).panels(1, steps=[2])
    for step in (0, 1):
        (copied / f"step{step}" / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"no step is finished"):
        open_recorded(copied)


def test_missing_and_damaged_predictions_are_named(copied):
    path = copied / "step1" / "predictions.json.gz"
    path.write_text('[{"video_id": 1, "category_id": 1, "score": 0.5, "segmentations": [null]}]')
    with pytest.raises(UserError, match=r"entry 0: segmentations: 1 entries, but video 1 has 3"):
        open_recorded(copied).panels(1)
    masks = [{"size": [32, 48], "counts": "0"}, None, None]
    path.write_text(json.dumps([{"video_id": 1, "category_id": 1, "score": 0.5, "segmentations": masks}]))
    with pytest.raises(UserError, match=r"does not fill|is what the runs sum to"):
        open_recorded(copied).panels(1)
    path.unlink()
    with pytest.raises(UserError, match=r"predictions.json.gz: does not exist"):
        open_recorded(copied).panels(1)


def test_a_data_set_elsewhere_is_asked_for(copied, tmp_path, stream):
    with pytest.raises(UserError, match=r"is not a folder"):
        open_recorded(tmp_path / "gone")
    with pytest.raises(UserError, match=r"no such file or folder under"):
        open_recorded(copied, data=tmp_path)
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps({**record, "scenario_hash": "0" * 64}))
    with pytest.raises(UserError, match=r"has changed since the run; .*--data"):
        open_recorded(copied, data=stream.parent)


def test_random_text_features_are_named_in_the_picture(copied):
    content = json.loads((copied / "metrics.json").read_text())
    encoder = {"model": "tiny", "pretrained": "random", "sha256": None}
    (copied / "metrics.json").write_text(json.dumps({**content, "label": "My method", "text_encoder": encoder}))
    assert open_recorded(copied).run.name == "My method [random text encoder]"
    (copied / "metrics.json").unlink()
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps({**record, "text_encoder": encoder}))
    assert open_recorded(copied).run.name == "finetune [random text encoder]"


def test_the_command_draws_and_names_its_file(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CLI.invoke(app, ["visualize", str(finished), "--video", "v001", "--min-score", "0"])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == "tiny-finetune-seed0-v001.mp4"
    assert len(read_mp4(tmp_path / "tiny-finetune-seed0-v001.mp4")) == 3
    result = CLI.invoke(app, ["visualize", str(finished), "--video", "2", "--step", "0", "--out", "a.png", "--json"])
    assert json.loads(result.stdout)["panels"] == ["ground truth", "step 0: 2 classes"]
    assert (tmp_path / "a.png").stat().st_size > 0


def test_the_list_says_what_can_be_chosen(finished):
    content = json.loads(CLI.invoke(app, ["visualize", str(finished), "--list", "--json"]).stdout)
    assert content["steps"] == [0, 1, 2]
    assert content["videos"][1] == {"id": 2, "name": "v001", "frames": 3, "tracks": 2, "classes": ["green", "blue"]}
    assert "v003" in CLI.invoke(app, ["visualize", str(finished), "--list"]).stdout


def test_the_command_refuses_in_one_line(finished, stream, tmp_path):
    for arguments, message in (
        ([], "--video: missing"),
        (["--video", "1", "--out", "a.gif"], "--out a.gif"),
        (["--video", "1", "--fps", "0", "--out", str(tmp_path / "a.mp4")], "--fps 0"),
        (["--video", str(stream.parent / "test")], "cvis predict"),
    ):
        result = CLI.invoke(app, ["visualize", str(finished), *arguments])
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "a.mp4").exists()
