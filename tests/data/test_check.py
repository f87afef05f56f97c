"""Finding a data set, refusing another one, and the checker's list of everything that is wrong."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from annotation_files import HEIGHT, WIDTH, small
from PIL import Image
from realvis import REALVIS, needs_realvis

from cvis.data.check import check
from cvis.data.datasets import DATASETS, locate, locate_part
from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.types import Category, Video

LAYOUTS = [
    ("ytvis2019", "train.json", "train/JPEGImages"),
    ("ytvis2019", "train/train.json", "train/JPEGImages"),
    ("ytvis2019", "annotations/instances_train_sub.json", "train/JPEGImages"),
    ("ytvis2019", "youtube_vis_2019_train.json", "train/JPEGImages"),
    ("ytvis2021", "train/instances.json", "train/JPEGImages"),
    ("ovis", "annotations_train.json", "train"),
    ("ovis", "annotations/annotations_train.json", "train"),
    ("custom", "instances.json", "JPEGImages"),
    ("custom", "train.json", "train/JPEGImages"),
    ("synthetic", "train.json", "train/JPEGImages"),
]


def make(root: Path, raw: dict, annotations="instances.json", frames="JPEGImages") -> Path:
    """A data set on disk, frames included."""
    for video in raw["videos"]:
        for name in video["file_names"]:
            path = root / frames / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    (root / annotations).parent.mkdir(parents=True, exist_ok=True)
    (root / annotations).write_text(json.dumps(raw))
    return root


@pytest.mark.parametrize(("dataset", "annotations", "frames"), LAYOUTS)
def test_the_usual_layouts_are_found(tmp_path, dataset, annotations, frames):
    files = locate(dataset, make(tmp_path, small(), annotations, frames))
    assert files.train_annotations == tmp_path / annotations
    assert files.train_frames == tmp_path / frames
    assert files.test_annotations is None
    assert files.test_frames is None


def test_a_test_part_of_its_own(tmp_path):
    make(tmp_path, small(), "train.json", "train/JPEGImages")
    make(tmp_path, small(), "test.json", "test/JPEGImages")
    files = locate("synthetic", tmp_path)
    assert (files.test_annotations, files.test_frames) == (tmp_path / "test.json", tmp_path / "test/JPEGImages")


def test_the_official_valid_part_is_no_test_part(tmp_path):
    make(tmp_path, small(), "train.json", "train/JPEGImages")
    make(tmp_path, small(), "valid.json", "valid/JPEGImages")
    assert locate("ytvis2019", tmp_path).test_annotations is None
    assert locate_part("ytvis2019", tmp_path, "valid") == (tmp_path / "valid.json", tmp_path / "valid/JPEGImages")


def test_without_a_folder_the_environment_and_then_data_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CVIS_DATA", raising=False)
    make(tmp_path / "data" / "custom", small())
    assert locate("custom", None).train_annotations == Path("data/custom/instances.json")
    monkeypatch.setenv("CVIS_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=r"elsewhere/custom"):
        locate("custom", None)


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_was_looked_for_is_said(tmp_path, dataset):
    with pytest.raises(UserError) as caught:
        locate(dataset, tmp_path)
    message = str(caught.value)
    entry = DATASETS[dataset]
    assert all(name in message for name in entry.layouts["train"].annotations)
    assert str(tmp_path) in message
    assert entry.source in message
    assert "--data DIR" in message
    assert "\n" not in message


def official(dataset: str) -> VideoSet:
    entry = DATASETS[dataset]
    categories = tuple(Category(i, name) for i, name in enumerate(entry.categories, 1))
    videos = tuple(Video(i, str(i), 4, 6, ()) for i in range(entry.train_videos or 0))
    return VideoSet(categories, videos, {v.id: () for v in videos}, "")


def differences(videos: VideoSet, dataset: str) -> list[str]:
    return list(map(str, DATASETS[dataset].differences(videos, "a.json")))


@pytest.mark.parametrize(("dataset", "classes"), [("ytvis2019", 40), ("ytvis2021", 40), ("ovis", 25)])
def test_the_official_categories(dataset, classes):
    videos = official(dataset)
    assert len({c.name for c in videos.categories}) == classes
    assert differences(videos, dataset) == []
    spelled = tuple(Category(c.id, c.name.upper().replace("_", "-")) for c in videos.categories)
    assert differences(replace(videos, categories=spelled), dataset) == []


def test_another_data_set_differs():
    first = differences(official("ytvis2021"), "ytvis2019")[0]
    assert first.startswith("a.json: categories (id 1): 'airplane': category 1 of YouTube-VIS 2019 is 'person'; ")
    names = [text for text in differences(official("ytvis2021"), "ovis") if "categories (id " in text]
    assert len(names) == 39  # of 40: both call their seventh category cow
    whole = official("ovis")
    (fewer,) = differences(replace(whole, videos=whole.videos[:-1]), "ovis")
    assert re.search(r"videos: 606: OVIS has 607 training videos; .*'custom'", fewer)
    assert differences(official("ytvis2021"), "custom") == []


def listed(report) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.field, problem.value) for problem in report.problems]


def test_a_sound_data_set_has_no_problem(tmp_path):
    calls = []
    report = check(make(tmp_path, small()), "custom", lambda done, total: calls.append((done, total)))
    assert report.ok
    assert report.problems == ()
    assert report.scorable == ("train",)
    assert report.to_json()["counts"] == {"train": {"videos": 2, "frames": 5, "tracks": 3, "categories": 2}}
    assert calls == [(3, 5), (5, 5)]


def test_every_problem_is_listed(tmp_path):
    raw = small()
    raw["annotations"][0]["segmentations"][1]["size"] = [6, 4]
    raw["annotations"][1]["category_id"] = 77
    raw["annotations"].append({"id": 9, "video_id": 7, "category_id": 5, "segmentations": [None, None]})
    raw["annotations"].append({"id": 10, "video_id": 7, "category_id": 5, "segmentations": [None, None]})
    raw["videos"].append({"id": 8, "height": 4, "width": 6, "length": 1, "file_names": ["c/0.jpg"]})
    make(tmp_path, raw)
    frames = tmp_path / "JPEGImages"
    (frames / "a/1.jpg").unlink()
    Image.new("RGB", (HEIGHT, WIDTH)).save(frames / "b/0.jpg")
    (frames / "b/1.jpg").write_bytes((frames / "b/1.jpg").read_bytes()[:-40])
    report = check(tmp_path, "custom")
    assert not report.ok
    problems = listed(report)
    assert ("error", "annotations[0].segmentations[1].size", "[6, 4]") in problems
    assert ("error", "annotations[1].category_id", "77") in problems
    assert ("error", "annotations[3].id", "9") in problems
    assert ("warning", "annotations[4].segmentations", "'all null'") in problems
    assert ("warning", "videos", "8") in problems
    at = {problem.file: problem for problem in report.problems}
    assert "does not exist" in at[str(frames / "a/1.jpg")].what
    assert at[str(frames / "b/0.jpg")].value == f"{HEIGHT}x{WIDTH}"
    assert "cannot be read" in at[str(frames / "b/1.jpg")].what
    assert len(problems) == 8
    assert json.loads(json.dumps(report.to_json()))["problems"][0]["remedy"]


def test_areas_that_disagree_with_the_mask_are_a_warning(tmp_path):
    raw = small()
    raw["annotations"][2]["areas"] = [1, 300]
    report = check(make(tmp_path, raw), "custom")
    assert listed(report) == [("warning", "annotations[2].areas[1]", "300")]
    assert report.ok


@pytest.mark.parametrize("boxes", [[None], "none", [[1, 2, 3], None], [[1, 2, 3, "4"], None], [[1, 2, 3, True], 7]])
def test_boxes_that_are_none_are_a_warning(tmp_path, boxes):
    raw = small()
    raw["annotations"][0]["bboxes"] = [None, [1, 1.5, 2, 1], [0, 0, 1, 1]]
    raw["annotations"][2]["bboxes"] = boxes
    report = check(make(tmp_path, raw), "custom")
    assert report.ok
    assert {(p.severity, p.field.partition("[")[0]) for p in report.problems} == {("warning", "annotations")}
    assert all(p.field.startswith("annotations[2].bboxes") for p in report.problems)


HUGE = 10**400
NO_TRACEBACK = {
    "videos are a number": lambda raw: raw.update(videos=5),
    "videos are an object": lambda raw: raw.update(videos={"id": 7}),
    "videos are null": lambda raw: raw.update(videos=None),
    "annotations are a number": lambda raw: raw.update(annotations=5),
    "categories are text": lambda raw: raw.update(categories="cat"),
    "a list as video id": lambda raw: raw["videos"][0].update(id=[1]),
    "a list as the track's video": lambda raw: raw["annotations"][0].update(video_id=[1]),
    "a list as the track's category": lambda raw: raw["annotations"][0].update(category_id=[1]),
    "an object as category name": lambda raw: raw["categories"][0].update(name={}),
    "huge height": lambda raw: raw["videos"][0].update(height=HUGE),
    "huge id": lambda raw: raw["videos"][0].update(id=HUGE),
    "huge track id": lambda raw: raw["annotations"][0].update(id=2**63),
    "huge area": lambda raw: raw["annotations"][2].update(areas=[HUGE, 1]),
    "huge run": lambda raw: raw["annotations"][2]["segmentations"][0].update(counts=[HUGE]),
    "huge polygon": lambda raw: raw["annotations"][2].update(segmentations=[[[HUGE] * 6], None]),
    "length is a list": lambda raw: raw["videos"][0].update(length=[2]),
    "crowd is a list": lambda raw: raw["annotations"][0].update(iscrowd=[]),
    "file name with a zero": lambda raw: raw["videos"][0].update(file_names=["b/0.jpg", "b/\0.jpg"]),
    "file name without UTF-8": lambda raw: raw["videos"][0].update(file_names=["b/0.jpg", "b/\ud800.jpg"]),
}


@pytest.mark.parametrize("name", NO_TRACEBACK)
def test_odd_types_are_problems_not_an_end(tmp_path, name):
    raw = small()
    make(tmp_path, raw)
    NO_TRACEBACK[name](raw)
    (tmp_path / "instances.json").write_text(json.dumps(raw))
    report = check(tmp_path, "custom")
    assert not report.ok
    assert json.dumps(report.to_json()).isascii()


def test_a_number_of_thousands_of_digits_is_a_problem(tmp_path):
    (make(tmp_path, small()) / "instances.json").write_text('{"videos": 1' + "0" * 5000 + "}")
    assert [p.what for p in check(tmp_path, "custom").problems] == ["is not JSON"]


def test_a_cut_off_annotation_file_is_a_problem_not_an_end(tmp_path):
    make(tmp_path, small(), "train.json", "train/JPEGImages")
    make(tmp_path, small(), "test.json", "test/JPEGImages")
    (tmp_path / "train.json").write_text('{"videos": [')
    report = check(tmp_path, "synthetic")
    assert [problem.file for problem in report.problems] == [str(tmp_path / "train.json")]
    assert report.scorable == ("test",)
    assert set(report.counts) == {"test"}


def test_a_folder_that_is_missing(tmp_path):
    assert "annotation file" in check(tmp_path, "ovis").problems[0].what
    (tmp_path / "instances.json").write_text(json.dumps(small()))
    report = check(tmp_path, "custom")
    assert ["folder of frames" in problem.what for problem in report.problems] == [True]
    assert report.counts["train"].tracks == 3


def test_private_labels_are_not_a_problem_but_cannot_be_scored(tmp_path):
    make(tmp_path, small(), "train.json", "train/JPEGImages")
    make(tmp_path, {**small(), "annotations": None}, "valid.json", "valid/JPEGImages")
    report = check(tmp_path, "ytvis2019")
    assert report.scorable == ("train",)
    assert report.counts["valid"].videos == 2
    assert not [p for p in report.problems if p.field == "annotations"]
    assert {p.field for p in report.problems if p.file.endswith("train.json")} > {"videos", "categories (id 1)"}


@needs_realvis
def test_real_videos_are_sound():
    report = check(REALVIS, "custom")
    assert report.problems == ()
    assert report.counts["train"].frames == 352
