"""What a server of YouTube-VIS gets: the format, the ids, the bytes, and what is refused."""

import gzip
import json
import shutil
import zipfile

import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError
from cvis.evaluation import VideoAP
from cvis.evaluation.results import read_results
from cvis.report.submission import export


@pytest.fixture
def folder(finished, tmp_path):
    """A run of our own to break."""
    copy = tmp_path / "tiny" / "seed0"
    shutil.copytree(finished, copy)
    return copy


def entries_of(folder, step):
    return json.loads(gzip.decompress((folder / f"step{step}" / "predictions.json.gz").read_bytes()))


def change(folder, change_entries, step=2):
    entries = entries_of(folder, step)
    changed = change_entries(entries)
    content = json.dumps(entries if changed is None else changed).encode()
    (folder / f"step{step}" / "predictions.json.gz").write_bytes(gzip.compress(content))


def test_the_zip_holds_results_json_alone_in_the_servers_format(finished, tmp_path, stream):
    done = export(finished, out=tmp_path / "out.zip")
    with zipfile.ZipFile(done.path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["results.json"]
        entries = json.loads(archive.read("results.json"))
    truth = json.loads((stream.parent / "test.json").read_text())
    frames = {video["id"]: (video["length"], video["height"], video["width"]) for video in truth["videos"]}
    categories = {category["id"] for category in truth["categories"]}
    assert entries
    for entry in entries:
        assert set(entry) == {"video_id", "score", "category_id", "segmentations"}
        length, height, width = frames[entry["video_id"]]
        assert entry["category_id"] in categories
        assert isinstance(entry["score"], float)
        assert len(entry["segmentations"]) == length
        for mask in entry["segmentations"]:
            assert mask is None or (mask["size"] == [height, width] and isinstance(mask["counts"], str))
    assert entries == entries_of(finished, 2)
    assert done.tracks == len(entries)
    assert done.videos == len({entry["video_id"] for entry in entries})
    assert done.step == 2


def test_what_is_handed_in_scores_what_the_run_says(finished, tmp_path, stream):
    test = read_ytvis(stream.parent / "test.json", stream.parent / "test")
    for step in (0, 2):
        export(finished, step, tmp_path / "out.zip")
        with zipfile.ZipFile(tmp_path / "out.zip") as archive:
            archive.extract("results.json", tmp_path)
        scores = VideoAP(test, [1, 2, 3, 4])
        for tracks in read_results(tmp_path / "results.json", test):
            scores.add(tracks)
        metrics = json.loads((finished / f"step{step}" / "metrics.json").read_text())
        assert scores.result().summary()["mAP"] == metrics["mAP_all"]


def test_ids_are_the_data_sets_own_not_positions(finished, tmp_path, stream):
    """A later step's classes come under the ids that the annotation file gives them."""
    ids = {
        category["name"]: category["id"]
        for category in json.loads((stream.parent / "test.json").read_text())["categories"]
    }
    learned = json.loads((finished / "metrics.json").read_text())["steps"]
    assert [step["new_classes"] for step in learned] == [[ids["red"], ids["green"]], [ids["blue"]], [ids["grey"]]]
    assert set(export(finished, 0, tmp_path / "a.zip").categories) <= {ids["red"], ids["green"]}


def test_equal_predictions_give_equal_bytes(finished, tmp_path):
    first, second = (export(finished, out=tmp_path / name).path.read_bytes() for name in ("a.zip", "b.zip"))
    assert first == second
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip"]


def test_plain_results(finished, tmp_path):
    export(finished, out=tmp_path / "r.json", kind="results")
    export(finished, out=tmp_path / "r.json.gz", kind="results")
    assert json.loads((tmp_path / "r.json").read_text()) == entries_of(finished, 2)
    assert gzip.decompress((tmp_path / "r.json.gz").read_bytes()) == (tmp_path / "r.json").read_bytes()


def test_an_unfinished_run_is_refused(folder, tmp_path):
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match="the run is unfinished; run the same `cvis run` again"):
        export(folder, 0, tmp_path / "out.zip")
    with pytest.raises(UserError, match="is not a folder"):
        export(folder / "no", 0, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("step", [-1, 3])
def test_a_step_that_does_not_exist_is_refused(finished, tmp_path, step):
    with pytest.raises(UserError, match=rf"--step {step}: .* has the steps 0 to 2"):
        export(finished, step, tmp_path / "out.zip")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda entries: entries[1].update(category_id=0), r"entry 1: category_id: 0: is none of the classes learned"),
        (lambda entries: entries[1].update(video_id="v"), r"entry 1: video_id: 'v': is not a whole number"),
        (lambda entries: entries[1].update(score=float("nan")), r"entry 1: score: nan: is not a finite number"),
        (lambda entries: entries[1].update(segmentations=[1]), r"entry 1: segmentations: is not a list of"),
        (lambda entries: entries[1]["segmentations"].append(None), r"entry 1: segmentations: 4 frames, where earlier"),
        (lambda entries: [7], r"entry 0: 7: is not an object"),
        (lambda entries: {"a": 1}, r"top level: dict: not a results file"),
    ],
)
def test_predictions_a_server_would_stumble_over_are_refused(folder, tmp_path, spoil, message):
    change(folder, spoil)
    with pytest.raises(UserError, match=message):
        export(folder, out=tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_a_class_of_a_later_step_is_refused(folder, tmp_path):
    change(folder, lambda entries: entries[0].update(category_id=4), step=0)
    with pytest.raises(UserError, match="category_id: 4: is none of the classes learned by this step"):
        export(folder, 0, tmp_path / "out.zip")


def test_damaged_predictions_are_named(folder, tmp_path):
    file = folder / "step2" / "predictions.json.gz"
    whole = file.read_bytes()
    for content, message in (
        (whole[:-20], "damaged or truncated gzip file"),
        (gzip.compress(gzip.decompress(whole)[:-9]), "not JSON, or truncated"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=message):
            export(folder, out=tmp_path / "out.zip")
    file.unlink()
    with pytest.raises(UserError, match="does not exist; copy it"):
        export(folder, out=tmp_path / "out.zip")


@pytest.mark.parametrize(
    ("protocol", "warning"),
    [
        ({"dataset": "ytvis2019", "split": "official-valid"}, ""),
        (
            {"dataset": "ovis", "split": "holdout"},
            "not the official validation videos of ovis but those of split 'holdout'",
        ),
        ({"dataset": "synthetic", "split": "test-file"}, "no server scores the videos of data set 'synthetic'"),
    ],
)
def test_videos_that_the_server_does_not_know_are_warned_about(folder, tmp_path, protocol, warning):
    content = json.loads((folder / "metrics.json").read_text())
    content["protocol"].update(protocol)
    (folder / "metrics.json").write_text(json.dumps(content))
    result = CliRunner().invoke(app, ["export", str(folder), "--submission", "--out", str(tmp_path / "out.zip")])
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'out.zip'}\n"
    assert warning in result.stderr
    assert bool(warning) == bool(result.stderr)


def test_the_command(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", str(finished), "--submission", "--step", "1", "--json"])
    content = json.loads(result.stdout)
    assert content["path"] == "tiny-finetune-seed0-step1.zip"
    assert content["step"] == 1
    assert (tmp_path / "tiny-finetune-seed0-step1.zip").is_file()
    for options, message in (
        ([], "cvis: export what? give --submission"),
        (["--submission", "--results"], "cvis: export what? give --submission"),
        (["--submission", "--out", "a.json"], "cvis: --out a.json: is not the name of such a file; end it in .zip"),
        (
            ["--results", "--out", "a.zip"],
            "cvis: --out a.zip: is not the name of such a file; end it in .json or .json.gz",
        ),
    ):
        result = CliRunner().invoke(app, ["export", str(finished), *options])
        assert result.exit_code == 2
        assert result.stderr.startswith(message)
        assert result.stderr.count("\n") == 1
