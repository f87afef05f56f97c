import gzip
import json

import numpy as np
import pytest
from pycocotools import mask as rle
from typer.testing import CliRunner

from cvis.cli import app

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
    assert "not a category of the ground truth; choose of 4 dog, 7 cat" in result.stderr


def test_damaged_files_are_named(files, tmp_path):
    ann, pred = files
    pred.write_text(pred.read_text()[:-9])
    for arguments in [(ann, pred), (tmp_path / "none.json", pred)]:
        result = call(*arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
    assert "none.json" in result.stderr
