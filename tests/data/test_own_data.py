"""The commands around data of one's own: what they print and write, and each mistake as one line and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import foreign_files as foreign
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cvis.cli import app
from cvis.data.datasets import DATASETS
from cvis.data.formats import FORMATS
from cvis.data.guess import guess
from cvis.data.ytvis import read_ytvis


def call(*words: object, code: int = 0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    if code == 2:
        assert len(result.stderr.splitlines()) == 1
    return result


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The made-up videos, imported from CVAT; the working folder's name is in no output."""
    root = tmp_path_factory.mktemp("own")
    frames, path = foreign.frames(root), foreign.cvat(root)
    said = call("data", "import", path, "--frames", frames, "--out", root / "mine").stdout.splitlines()
    assert said[0].split() == ["file", "without", "a", "place", "times"]
    assert said[1].split()[:3] == [str(path), "a", "shape"]
    assert said[-2:] == [
        f"{root / 'mine'}: 2 videos, 8 frames, 3 tracks, 2 classes from cvat",
        f"cvis data check {root / 'mine'} --pictures {root / 'mine'}-pictures",
    ]
    return root / "mine"


def test_help_and_page_name_every_format():
    page = (Path(__file__).resolve().parents[2] / "docs" / "own_data.md").read_text()
    for text in (call("data", "import", "--help").stdout, page):
        assert all(name in text for name in FORMATS)


def test_import_says_what_it_made_as_json(tmp_path):
    frames, path = foreign.frames(tmp_path), foreign.mots_txt(tmp_path)
    names = tmp_path / "names.json"
    names.write_text('{"1": "car", "2": "dog"}')
    made = call("data", "import", path, "--frames", frames, "--out", tmp_path / "o", "--classes", names, "--json")
    said = json.loads(made.stdout)
    skipped = said.pop("skipped")
    assert said == {
        "schema": 1,
        "from": "mots",
        "out": str(tmp_path / "o"),
        "videos": 2,
        "frames": 8,
        "tracks": 3,
        "classes": 2,
    }
    assert skipped == [
        {"file": str(path / f"{video}.txt"), "what": "a region to be ignored (class 10)", "count": 1}
        for video in ("swim", "walk")
    ]
    wrong = call("data", "import", path, "--frames", frames, "--out", tmp_path / "p", "--from", "cvat", code=2)
    assert "is not XML" in wrong.stderr or "cannot be read" in wrong.stderr


def test_check_knows_the_data_set_and_draws_it(own, tmp_path):
    sheets = tmp_path / "sheets"
    said = json.loads(call("data", "check", own, "--pictures", sheets, "--json").stdout)
    assert (said["dataset"], said["ok"], said["pictures"]) == ("custom", True, [str(sheets / "train.jpg")])
    with Image.open(sheets / "train.jpg") as image:
        pixels = np.asarray(image.convert("RGB"), int)
    assert pixels.shape[1:] == (806, 3)  # two tiles and the gap between them
    assert np.ptp(pixels[:, :400], axis=2).max() > 60  # masks have colours, the frames are nearly grey
    raw = json.loads((own / "instances.json").read_text())
    raw["annotations"][0]["category_id"] = 99
    (tmp_path / "instances.json").write_text(json.dumps(raw))
    (tmp_path / "JPEGImages").symlink_to(own / "JPEGImages")
    wrong = call("data", "check", tmp_path, "--pictures", sheets, code=1)
    assert "no picture of train: " in wrong.stderr
    assert "1 errors" in wrong.stdout


@pytest.mark.parametrize("dataset", ["ytvis2019", "ytvis2021", "ovis"])
def test_a_data_set_is_known_by_its_classes(tmp_path, dataset):
    entry = DATASETS[dataset]
    raw = {"videos": [], "annotations": [], "categories": []}
    raw["categories"] = [{"id": i, "name": name} for i, name in enumerate(entry.categories, start=1)]
    file = tmp_path / entry.layouts["train"].annotations[0]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(raw))
    assert guess(tmp_path) == dataset
    raw["categories"].pop()
    file.write_text(json.dumps(raw))
    assert guess(tmp_path) == "custom"
    file.write_text("{")
    assert guess(tmp_path) == guess(tmp_path / "gone") == "custom"


def test_merge_counts_anew_and_knows_classes_by_name(own, tmp_path):
    raw = json.loads((own / "instances.json").read_text())
    raw["categories"] = [{"id": 1, "name": "Dog"}, {"id": 2, "name": "cat"}]  # CVAT's had car 1, dog 2
    other = tmp_path / "other"
    other.mkdir()
    (other / "instances.json").write_text(json.dumps(raw))
    (other / "JPEGImages").symlink_to(own / "JPEGImages")
    call("data", "merge", own, other / "instances.json", "--out", tmp_path / "both", "--copy")
    first = read_ytvis(own / "instances.json", None)
    both = read_ytvis(tmp_path / "both" / "instances.json", tmp_path / "both" / "JPEGImages")
    assert [(c.id, c.name) for c in both.categories] == [(1, "car"), (2, "dog"), (3, "cat")]
    assert [v.name for v in both.videos] == ["walk", "swim"] * 2
    assert [t.id for t in both.all_tracks] == [1, 2, 3, 4, 5, 6]
    assert [t.category_id for t in both.all_tracks] == [1, 2, 2, 2, 3, 3]
    assert [t.segmentations for t in both.all_tracks] == [t.segmentations for t in first.all_tracks] * 2
    assert len({frame.parent for video in both.videos for frame in video.frames}) == 4
    assert call("data", "check", tmp_path / "both").exit_code == 0


def test_subset_takes_classes_videos_or_a_share(own, tmp_path):
    def part(name, *words):
        call("data", "subset", own, "--out", tmp_path / name, *words)
        return read_ytvis(tmp_path / name / "instances.json", tmp_path / name / "JPEGImages")

    cars = part("cars", "--classes", "Car")
    assert [(c.id, c.name) for c in cars.categories] == [(1, "car")]
    assert [(t.id, t.video_id) for t in cars.all_tracks] == [(1, 1)]
    assert [v.id for v in part("named", "--videos", "swim").videos] == [2]
    assert [v.id for v in part("numbered", "--videos", "1").videos] == [1]
    halves = [[v.id for v in part(f"half{seed}", "--share", 0.5, "--seed", seed).videos] for seed in range(6)]
    assert {(1,), (2,)} == set(map(tuple, halves))


def test_stats_count(own, tmp_path):
    picture = tmp_path / "stats.svg"
    said = json.loads(call("data", "stats", own, "--json", "--plot", picture).stdout)
    assert (said["videos"], said["frames"], said["empty"], said["lengths"]) == (2, 8, 0, {"4": 2})
    assert said["sizes"] == {"30x20": 2}
    assert said["together"] == [[1, 1], [1, 2]]
    car, dog = said["classes"]
    assert car == dict(
        name="car", videos=1, tracks=1, masks=4, length=4, area=pytest.approx(36 / 600), sizes=[1, 0, 0], crowds=0
    )
    assert (dog["videos"], dog["tracks"], dog["masks"], dog["length"], dog["sizes"]) == (2, 2, 4, 2, [2, 0, 0])
    text = picture.read_text()
    assert all(word in text for word in ("car", "dog", "videos that show both classes", "2 videos"))
    table = call("data", "stats", own / "instances.json").stdout
    assert ["dog", "car", "(1)", "2", "2", "4", "2", "6.00", "%", "2", "0", "0"] in [
        x.split() for x in table.splitlines()
    ]
    assert "2 videos of 4 frames, 8 in all; 30x20 (2)" in table


def test_every_mistake_is_one_line(own, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "x").write_text("")
    for words, says in [
        (["import", tmp_path / "gone", "--out", tmp_path / "o"], "does not exist"),
        (["merge", own, tmp_path / "gone", "--out", tmp_path / "o"], "does not exist"),
        (["merge", own, "--out", taken], "exists already"),
        (["merge", taken, "--out", tmp_path / "o"], "looked for an annotation file"),
        (["subset", own, "--classes", "cart", "--out", tmp_path / "o"], "did you mean"),
        (["subset", own, "--videos", "wall", "--out", tmp_path / "o"], "--videos wall: there is no video"),
        (["subset", own, "--share", 0, "--out", tmp_path / "o"], "--share 0"),
        (["subset", own, "--share", 0.1, "--out", tmp_path / "o"], "no video is left"),
        (["stats", own, "--plot", "stats.txt"], "--plot stats.txt"),
    ]:
        assert says in call("data", *words, code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "taken"]  # the tests' own
