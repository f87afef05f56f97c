"""Streams from files: the shipped ones, one's own, and every way they can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from realvis import REALVIS, needs_realvis

from cvis.data.datasets import DATASETS, DataFiles
from cvis.errors import UserError
from cvis.scenario import describe, list_scenarios, load_scenario, make_scenario
from cvis.scenario.load import read_data
from cvis.scenario.order import divide
from cvis.scenario.spec import find_scenario, read_spec

SHIPPED = {
    "ytvis2019-20-4": (40, 6),
    "ytvis2019-20-2": (40, 11),
    "ytvis2021-20-5": (40, 5),
    "ytvis2021-10-10": (40, 4),
    "ovis-15-5": (25, 3),
    "ovis-15-10": (25, 2),
    "synthetic-20-4": (40, 6),
    "synthetic-20-2": (40, 11),
    "synthetic-20-5": (40, 5),
    "synthetic-10-10": (40, 4),
    "synthetic-confusable-20-4": (40, 6),
    "synthetic-crossings-20-4": (40, 6),
    "synthetic-shape-20-4": (40, 6),
    "synthetic-motion-20-4": (40, 6),
}


def rle(pixels: list[list[int]]) -> dict:
    """Uncompressed COCO RLE of a 0/1 matrix: column by column, zeros first."""
    flat = [row[x] for x in range(len(pixels[0])) for row in pixels]
    counts, value = [0], 0
    for bit in flat:
        if bit != value:
            counts.append(0)
            value = bit
        counts[-1] += 1
    return {"size": [len(pixels), len(pixels[0])], "counts": counts}


def write_data(path: Path, contents: dict[int, list[str]], names: tuple[str, ...] = ("ant", "bee", "cat", "dog")):
    """A YouTube-VIS-format file of 2-frame videos with one instance per named class."""
    square = rle([[0, 1, 1], [0, 1, 1]])
    videos, annotations = [], []
    for video_id, classes in contents.items():
        files = [f"v{video_id}/0.jpg", f"v{video_id}/1.jpg"]
        videos.append({"id": video_id, "width": 3, "height": 2, "length": 2, "file_names": files})
        for name in classes:
            annotations.append(
                {
                    "id": len(annotations) + 100 * len(contents),
                    "video_id": video_id,
                    "category_id": names.index(name) + 1,
                    "iscrowd": 0,
                    "segmentations": [square, None],
                    "areas": [4, None],
                    "bboxes": [[1, 0, 2, 2], None],
                    "width": 3,
                    "height": 2,
                    "length": 2,
                }
            )
    categories = [{"id": i, "name": n, "supercategory": "thing"} for i, n in enumerate(names, start=1)]
    path.write_text(json.dumps({"videos": videos, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture
def data(tmp_path):
    for frame in (f"v{n}/{t}.jpg" for n in (1, 2, 3, 4) for t in (0, 1)):
        (tmp_path / "JPEGImages" / frame).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "JPEGImages" / frame).touch()
    return write_data(tmp_path / "a.json", {1: ["cat", "ant"], 2: ["bee"], 3: ["dog", "cat"], 4: ["cat"]})


def toml(tmp_path: Path, text: str, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


MINE = 'dataset = "custom"\nannotations = "a.json"\nbase = 2\nincrement = 1\nsplit = "same"\n'


def test_the_shipped_streams_are_these():
    assert set(list_scenarios()) == set(SHIPPED)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_stream_is_well_formed(name):
    num_classes, steps = SHIPPED[name]
    spec = read_spec(find_scenario(name))
    dataset, base, increment = name.replace("-confusable", "").rsplit("-", 2)
    dataset = dataset.replace("-", "_")
    assert (spec.name, spec.dataset, spec.base, spec.increment) == (name, dataset, int(base), int(increment))
    assert (spec.visibility, spec.other_class_policy) == ("overlap", "drop")
    assert len(divide(range(num_classes), spec.base, spec.increment, name)) == steps
    if not dataset.startswith("synthetic"):
        assert tuple(spec.order) == DATASETS[dataset].categories


def test_own_stream(tmp_path, data):
    scenario = load_scenario(toml(tmp_path, MINE))
    assert scenario.name == "mine"
    assert [t.new_classes for t in scenario] == [(1, 2), (3,), (4,)]
    assert [sorted(t.train.by_id) for t in scenario] == [[1, 2], [1, 3, 4], [3]]
    assert [t.hidden for t in scenario] == [1, 2, 1]
    assert scenario.train.by_id[1].frames[0] == tmp_path / "JPEGImages" / "v1" / "0.jpg"
    assert scenario.protocol["split"] == "same"


def test_overrides(tmp_path, data):
    path = toml(tmp_path, MINE.replace("base = 2", "base = 3") + 'exclude = ["dog"]\norder = ["ant", "bee", "cat"]\n')
    changed = load_scenario(path, visibility="disjoint", other_class_policy="empty_target")
    assert changed.protocol["visibility"] == "disjoint"
    assert changed.hash != load_scenario(path).hash
    with pytest.raises(UserError, match=r"speed: no such key; choose one of visibility"):
        load_scenario(path, speed=3)
    with pytest.raises(UserError, match=r"mine\.toml: visibility: 'both': .*'overlap', 'disjoint' or 'sequential'"):
        load_scenario(path, visibility="both")


def test_data_root_moves_the_files_of_a_custom_stream(tmp_path, data):
    elsewhere = tmp_path / "streams"
    elsewhere.mkdir()
    path = toml(elsewhere, MINE)
    with pytest.raises(UserError, match=r"annotations: 'a\.json': no such file"):
        load_scenario(path)
    assert len(load_scenario(path, data_root=tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINE + "incremet = 3\n", "incremet: 3: no such key; did you mean 'increment'?"),
        (MINE.replace("base = 2", "base = 0"), "base: 0: not possible; it should be greater than or equal to 1"),
        (MINE.replace("base = 2", "base = true"), "base: True: not possible; it should be a valid integer"),
        (MINE.replace("base = 2\n", ""), "base: missing"),
        (MINE.replace('"custom"', '"coco"'), "dataset: 'coco': there is no such data set; choose one of custom, "),
        (
            MINE.replace('"custom"', '"ytvis2020"'),
            "dataset: 'ytvis2020': there is no such data set; did you mean 'ytvis20",
        ),
        (MINE.replace('"same"', '"half"'), "split: 'half': not possible; choose 'holdout'"),
        (MINE.replace('"same"', '"test-file"'), "test_annotations: missing"),
        (MINE + "test_fraction = 1.5\n", "test_fraction: 1.5: not possible; it should be less than 1"),
        (MINE + 'name = "../x"\n', "name: '../x'"),
        (MINE.replace('annotations = "a.json"\n', ""), "annotations: missing"),
        (MINE.replace('"a.json"', '"b.json"'), "annotations: 'b.json': no such file or folder"),
        (MINE.replace('"custom"', '"synthetic"'), "annotations: 'a.json': only for dataset"),
        (MINE.replace("increment = 1", "increment = 3"), "increment: 3: 2 classes remain after base 2 of 4"),
        (MINE + 'order = ["ant", "bee", "cat"]\n', "class order has 3 classes, data set has 4; missing: ['dog']"),
        ("base = = 2", "not a TOML file"),
    ],
)
def test_a_wrong_file_is_one_line_with_file_field_and_value(tmp_path, data, text, expected):
    path = toml(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_scenario(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert expected in message
    assert "\n" not in message


def test_unknown_names_are_met_with_the_nearest_one(tmp_path):
    with pytest.raises(UserError, match="did you mean 'ytvis2019-20-4'"):
        load_scenario("ytvis2019-20_4")
    with pytest.raises(UserError, match="no such scenario file"):
        load_scenario(tmp_path / "none.toml")


def test_another_data_set_is_refused(tmp_path):
    (tmp_path / "train" / "JPEGImages").mkdir(parents=True)
    write_data(tmp_path / "train.json", {1: ["ant"]})
    with pytest.raises(UserError, match="not YouTube-VIS 2019"):
        load_scenario("ytvis2019-20-4", data_root=tmp_path)


def test_test_file_is_read(tmp_path, data):
    write_data(tmp_path / "t.json", {7: ["ant"], 8: ["bee", "dog"]})
    path = toml(tmp_path, MINE.replace('"same"', '"test-file"') + 'test_annotations = "t.json"\n')
    scenario = load_scenario(path)
    assert sorted(scenario.test.by_id) == [7, 8]
    assert sorted(scenario.train.by_id) == [1, 2, 3, 4]
    assert scenario.classes_without_test == (3,)
    empty = write_data(tmp_path / "t.json", {7: [], 8: []})
    with pytest.raises(UserError, match="holds no annotations"):
        load_scenario(path)
    assert read_data(read_spec(path, {"split": "same"}), DataFiles(data, tmp_path, empty, tmp_path))[1] is None


def test_make_writes_a_stream_that_loads_to_the_same(tmp_path, data):
    out = make_scenario(data, None, 2, 1, tmp_path / "made.toml", order="frequency", split="same")
    written = out.read_text()
    assert 'annotations = "a.json"' in written
    assert 'order = ["cat", "ant", "bee", "dog"]' in written
    made = load_scenario(out)
    assert made.name == "made"
    assert made.classes == (3, 1, 2, 4)
    before = out.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        make_scenario(data, None, 2, 1, out)
    assert out.read_bytes() == before


def test_make_takes_an_order_file_and_a_folder_elsewhere(tmp_path, data):
    order = tmp_path / "order.txt"
    order.write_text("# mine\ndog\n\nbee\ncat\nant\n")
    out = tmp_path / "streams" / "made.toml"
    make_scenario(
        data, tmp_path / "JPEGImages", 1, [2, 1], out, order=str(order), other_class_policy="empty_target", split="same"
    )
    made = load_scenario(out)
    assert made.classes_by_step == ((4,), (2, 3), (1,))
    assert made.protocol["other_class_policy"] == "empty_target"


@pytest.mark.parametrize(
    "wrong", [{"base": 9}, {"increment": 3}, {"order": "nofile.txt"}, {"visibility": "all"}, {"typo": 1}]
)
def test_make_writes_nothing_when_the_stream_does_not_build(tmp_path, data, wrong):
    out = tmp_path / "made.toml"
    arguments = {"base": 2, "increment": 1, "split": "same", **wrong}
    with pytest.raises(UserError, match=r"made\.toml: "):
        make_scenario(data, None, out=out, **arguments)
    assert not list(tmp_path.glob("*made*"))


def test_make_says_at_once_what_a_run_would_find_late(tmp_path, data):
    out = tmp_path / "made.toml"
    with pytest.raises(
        UserError, match=r"made\.toml: step 0: \['ant', 'bee'\]: no test video .*'holdout'.*--split frames"
    ):
        make_scenario(data, None, 2, 1, out)
    (tmp_path / "JPEGImages" / "v2" / "1.jpg").unlink()
    with pytest.raises(UserError, match=r"frames: .*v2/1\.jpg: this frame does not exist \(1 of 8 are missing\)"):
        make_scenario(data, tmp_path / "JPEGImages", 2, 1, out, split="same")
    assert not out.exists()


@needs_realvis
@pytest.mark.parametrize("split", ["frames", "same"])
def test_real_videos(tmp_path, split):
    out = tmp_path / "realvis-10-3.toml"
    make_scenario(REALVIS / "instances.json", REALVIS / "JPEGImages", 10, 3, out, split=split)
    scenario = load_scenario(out)
    assert len(scenario) == 7
    assert len(scenario.classes) == 28  # of 49 categories in the file, 28 have an instance
    shown = describe(scenario)
    assert shown["train_videos"] == 39
    total = sum(s["visible_instances"] for s in shown["steps"])
    assert total == 55  # in overlap mode every instance is visible in exactly one step
    assert scenario.train.videos[0].frames[0].is_file()
