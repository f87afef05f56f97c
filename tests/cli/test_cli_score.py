import gzip
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as rle
from typer.testing import CliRunner

from cvis.cli import app

IDENTITY = ["HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "IDF1", "IDP", "IDR"]
TWELVE = ["mAP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def mask(columns):
    """A 20 x 20 mask whose left ``columns`` columns are set."""
    pixels = np.zeros((20, 20), dtype=np.uint8, order="F")
    pixels[:, :columns] = 1
    code = rle.encode(pixels)
    return {"size": [20, 20], "counts": code["counts"].decode()}


@pytest.fixture
def files(tmp_path):
    """One video with a dog, found exactly, and a cat, found with an IoU of 10 / 16."""
    annotations = [
        {"id": i, "video_id": 1, "category_id": c, "iscrowd": 0, "segmentations": [mask(n)] * 2, "areas": [20 * n] * 2,
         "bboxes": [[0, 0, n, 20]] * 2, "width": 20, "height": 20}
        for i, c, n in [(1, 4, 8), (2, 7, 16)]
    ]  # fmt: skip
    truth = {
        "videos": [{"id": 1, "width": 20, "height": 20, "length": 2, "file_names": ["v/0.jpg", "v/1.jpg"]}],
        "categories": [{"id": 4, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": annotations,
    }
    found = [
        {"video_id": 1, "category_id": c, "score": 0.9, "segmentations": [mask(n)] * 2} for c, n in [(4, 8), (7, 10)]
    ]
    ann, pred = tmp_path / "gt.json", tmp_path / "results.json"
    ann.write_text(json.dumps(truth))
    pred.write_text(json.dumps(found))
    return ann, pred


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path / "cache"))


def call(ann, pred, *options):
    return CliRunner().invoke(app, ["score", "--ann", str(ann), "--pred", str(pred), *options])


def test_json_has_exactly_the_official_twelve_times_100(files):
    numbers = json.loads(call(*files, "--json").stdout)
    assert list(numbers) == TWELVE
    # the cat passes the thresholds .50, .55, .60 of ten; the dog passes all
    assert numbers["mAP"] == pytest.approx((100 + 30) / 2, abs=1e-9)
    assert numbers["AP50"] == pytest.approx(100)
    assert numbers["AP75"] == pytest.approx(50)
    assert numbers["APl"] is None


def test_per_class_is_keyed_by_data_set_id(files):
    numbers = json.loads(call(*files, "--json", "--per-class").stdout)
    assert {i: row["AP"] for i, row in numbers["per_class"].items()} == {
        "4": pytest.approx(100),
        "7": pytest.approx(30),
    }


@pytest.mark.parametrize("classes", ["cat", "7", " cat , 7"])
def test_classes_by_name_and_by_id(files, classes):
    assert json.loads(call(*files, "--json", "--classes", classes).stdout)["mAP"] == pytest.approx(30)


def test_the_table_names_the_classes(files):
    lines = call(*files, "--per-class").stdout.splitlines()
    assert lines[0].split() == ["class", "id", *TWELVE]
    assert lines[1].startswith("all classes")
    assert lines[2].split()[:3] == ["dog", "4", "100.00"]
    assert lines[3].split()[:3] == ["cat", "7", "30.00"]
    assert lines[1].split()[2] == "65.00"


def test_gzipped_predictions(files, tmp_path):
    ann, pred = files
    packed = tmp_path / "results.json.gz"
    packed.write_bytes(gzip.compress(pred.read_bytes()))
    assert call(ann, packed, "--json").stdout == call(ann, pred, "--json").stdout


@pytest.mark.parametrize("options", [["--classes", "dog,cow"], ["--classes", ""]])
def test_an_unknown_class_is_named(files, options):
    result = call(*files, *options)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "not a category of the ground truth; choose one of dog, cat" in result.stderr


def test_damaged_files_are_named(files, tmp_path):
    ann, pred = files
    pred.write_text(pred.read_text()[:-9])
    for arguments in [(ann, pred), (tmp_path / "none.json", pred)]:
        result = call(*arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
    assert "none.json" in result.stderr


@pytest.fixture
def stream(tmp_path):
    """Two steps: the cat, then the dog; the files it names need not exist."""
    path = tmp_path / "pets.toml"
    path.write_text(
        'dataset = "custom"\nannotations = "absent.json"\nbase = 1\nincrement = 1\norder = ["cat", "dog"]\n'
    )
    return path


def test_the_groups_of_a_stream(files, stream):
    numbers = json.loads(call(*files, "--scenario", str(stream), "--json").stdout)
    assert list(numbers) == [*TWELVE, "groups", "protocol"]
    assert numbers["protocol"] == {"videos": "all", "scenario": str(stream)}
    groups = numbers["groups"]
    assert {name: group["classes"] for name, group in groups.items()} == {"all": [7, 4], "base": [7], "step 1": [4]}
    assert {name: group["mAP"] for name, group in groups.items()} == {
        "all": pytest.approx(65), "base": pytest.approx(30), "step 1": pytest.approx(100),
    }  # fmt: skip
    assert list(groups["base"]) == ["classes", *TWELVE]
    lines = call(*files, "--scenario", str(stream)).stdout.splitlines()
    assert [line.split()[:3] for line in lines[3:7]] == [
        ["group", "classes", "mAP"], ["all", "2", "65.00"], ["base", "1", "30.00"], ["step", "1", "1"],
    ]  # fmt: skip


def test_a_shipped_stream_needs_no_data_set(files, tmp_path):
    """The file has two of the forty classes: the first that is missing is named."""
    result = call(*files, "--scenario", "ytvis2019-20-4")
    assert result.exit_code == 2
    assert "order: 'person': not a class of the annotation file; choose one of dog, cat" in result.stderr


def test_a_stream_whose_order_depends_on_its_data_is_refused(files, stream):
    stream.write_text(stream.read_text().replace('["cat", "dog"]', '"frequency"'))
    result = call(*files, "--scenario", str(stream))
    assert result.exit_code == 2
    assert "order: 'frequency': is made from the training data" in result.stderr


def test_identity_numbers(files):
    """Two frames each: the dog is exact, the cat has IoU 10/16 = .625: TP at 12 of 19 thresholds."""
    numbers = json.loads(call(*files, "--identity", "--per-class", "--json").stdout)
    assert list(numbers) == [*TWELVE, "identity", "per_class"]
    assert list(numbers["identity"]) == ["min_score", *IDENTITY]
    assert numbers["identity"]["min_score"] == 0.5
    assert numbers["identity"]["HOTA"] == pytest.approx(100 * (1 + 12 / 19) / 2)
    assert numbers["per_class"]["7"]["identity"]["LocA"] == pytest.approx(62.5)
    assert numbers["per_class"]["4"]["identity"] == {name: pytest.approx(100) for name in IDENTITY}
    lines = call(*files, "--identity").stdout.splitlines()
    assert lines[0].split() == ["class", "id", *TWELVE, "HOTA", "DetA", "AssA", "IDF1"]
    assert lines[1].split()[-4:] == ["81.58", "81.58", "81.58", "100.00"]
    assert "tracks with a score of at least 0.5" in lines[-1]


def test_min_score_leaves_tracks_out_of_the_identity_numbers_only(files):
    numbers = json.loads(call(*files, "--identity", "--min-score", "0.95", "--json").stdout)
    assert numbers["mAP"] == pytest.approx(65)
    assert numbers["identity"]["min_score"] == 0.95
    assert numbers["identity"]["HOTA"] == 0


@pytest.fixture
def files_with_a_second_video(files):
    """A video without any object, in which a dog is predicted surely."""
    ann, pred = files
    truth, found = json.loads(ann.read_text()), json.loads(pred.read_text())
    truth["videos"].append({"id": 2, "width": 20, "height": 20, "length": 1, "file_names": ["w/0.jpg"]})
    found.append({"video_id": 2, "category_id": 4, "score": 0.99, "segmentations": [mask(8)]})
    ann.write_text(json.dumps(truth))
    pred.write_text(json.dumps(found))
    return ann, pred


def test_the_choice_of_videos_is_printed_with_the_numbers(files_with_a_second_video):
    everywhere = json.loads(call(*files_with_a_second_video, "--identity", "--json").stdout)
    assert everywhere["mAP"] == pytest.approx((50 + 30) / 2)  # the dog's first detection is wrong
    assert "protocol" not in everywhere
    numbers = json.loads(call(*files_with_a_second_video, "--videos", "with_gt", "--identity", "--json").stdout)
    assert numbers["protocol"] == {"videos": "with_gt"}
    assert numbers["mAP"] == pytest.approx(65)
    assert everywhere["identity"]["DetPr"] < numbers["identity"]["DetPr"]
    assert "videos all: 2, 0 without predictions" in call(*files_with_a_second_video).stdout
    assert "videos with_gt: 1 (with an object" in call(*files_with_a_second_video, "--videos", "with_gt").stdout


def test_with_gt_means_objects_of_the_evaluated_classes(files_with_a_second_video):
    ann, pred = files_with_a_second_video
    truth = json.loads(ann.read_text())
    square = {"video_id": 2, "iscrowd": 0, "segmentations": [mask(8)], "areas": [160], "bboxes": [[0, 0, 8, 20]]}
    truth["annotations"].append({"id": 3, "category_id": 7, "width": 20, "height": 20, **square})
    ann.write_text(json.dumps(truth))
    options = ["--videos", "with_gt", "--json"]
    assert json.loads(call(ann, pred, *options).stdout)["mAP"] < 50
    assert json.loads(call(ann, pred, *options, "--classes", "dog").stdout)["mAP"] == pytest.approx(100)


def test_the_order_of_the_file_changes_nothing(files_with_a_second_video):
    """Entries of a video need not stand together."""
    ann, pred = files_with_a_second_video
    before = [call(ann, pred, "--json", *options) for options in ([], ["--identity"])]
    first, second, third = json.loads(pred.read_text())
    pred.write_text(json.dumps([second, third, first]))
    after = [call(ann, pred, "--json", *options) for options in ([], ["--identity"])]
    assert [result.stdout for result in after] == [result.stdout for result in before]
    assert [result.stderr for result in after] == ["", ""]  # no bar where nobody watches
    assert json.loads(before[1].stdout).items() > json.loads(before[0].stdout).items()


@pytest.mark.parametrize("options", [[], ["--identity"]])
def test_a_mask_that_does_not_fit_names_its_entry(files, options):
    ann, pred = files
    found = json.loads(pred.read_text())
    found[1]["segmentations"].pop()
    pred.write_text(json.dumps(found))
    result = call(ann, pred, *options)
    assert result.exit_code == 2
    assert f"{pred}: entry 1: segmentations: 1 entries, but video 1 has 2 frames" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--videos", "some"], "--videos: 'some': no such choice; use one of all, with_gt"),
        (["--min-score", "nan"], "--min-score: nan: is no score"),
        (["--scenario", "ytvis2019-20-4", "--classes", "dog"], "--classes: not together with --scenario"),
        (["--scenario", "ytvis2019"], "'ytvis2019': no such scenario; did you mean"),
        (["--scenario", "none.toml"], "none.toml: no such scenario file"),
    ],
)
def test_wrong_options_are_one_line(files, options, message):
    result = call(*files, *options)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_help_has_examples():
    text = CliRunner().invoke(app, ["score", "--help"]).stdout
    assert "--scenario ytvis2019-20-4" in text
    assert "--videos with_gt" in text


def test_scoring_loads_no_torch(files, stream):
    """With every option, in a process of its own."""
    ann, pred = map(str, files)
    arguments = ["score", "--ann", ann, "--pred", pred, "--scenario", str(stream), "--identity", "--per-class"]
    code = (
        "import sys\nfrom cvis.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules or 'mmdet' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert "HOTA" in done.stdout


def test_a_missing_file_is_one_line_under_a_progress_bar_too(files, tmp_path, monkeypatch):
    monkeypatch.setattr("cvis.cli.score.sys", SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True)))
    result = call(files[0], tmp_path / "gone.json")
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)


def test_long_files_are_read_under_a_progress_bar(files, monkeypatch):
    monkeypatch.setattr("cvis.cli.score.LONG_FILE", 1)
    quiet = call(*files)
    monkeypatch.setattr("cvis.cli.score.sys", SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True)))
    assert (call(*files).exit_code, call(*files).stdout) == (0, quiet.stdout)
