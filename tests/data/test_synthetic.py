import hashlib
import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from cvis.data.looks import EXTENT, SHAPES, TEXTURES, coverage
from cvis.data.scenes import MIN_VISIBLE, Scene, _visible, draw_scene, shape_and_texture
from cvis.data.synthetic import VERSION, category_name, make_synthetic, synthetic_root
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError

SMALL = {"train_videos": 20, "test_videos": 20, "frames": 10}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "set"
    make_synthetic(root, **SMALL)
    return root


@pytest.fixture(scope="module")
def document(small) -> dict:
    return json.loads((small / "train.json").read_text())


def digest(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_second_process_writes_the_same_bytes(small, tmp_path):
    make = "make_synthetic(sys.argv[1], **json.loads(sys.argv[2]))"
    code = f"import json, sys; from cvis.data.synthetic import make_synthetic; {make}"
    command = [sys.executable, "-c", code, str(tmp_path / "again"), json.dumps(SMALL)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7"})
    assert digest(tmp_path / "again") == digest(small)


def test_another_seed_gives_other_videos(small, tmp_path):
    make_synthetic(tmp_path / "other", seed=1, **SMALL)
    mine, other = digest(small), digest(tmp_path / "other")
    assert mine.keys() == other.keys()
    assert not any(mine[file] == other[file] for file in mine)


def test_a_video_does_not_depend_on_how_many_there_are(small, tmp_path):
    make_synthetic(tmp_path / "few", **{**SMALL, "train_videos": 3})
    few, many = digest(tmp_path / "few"), digest(small)
    frames = [file for file in few if file.endswith(".jpg")]
    assert len(frames) == (3 + 20) * 10
    assert all(few[file] == many[file] for file in frames)


def test_the_file_has_every_field_of_youtube_vis(document, small):
    assert document.keys() == {"info", "videos", "annotations", "categories"}
    assert [category["id"] for category in document["categories"]] == list(range(1, 41))
    assert len({category["name"] for category in document["categories"]}) == 40
    assert [video["id"] for video in document["videos"]] == list(range(1, 21))
    for video in document["videos"]:
        assert (video["height"], video["width"], video["length"]) == (64, 96, 10)
        assert len(video["file_names"]) == 10
        for file in video["file_names"]:
            with Image.open(small / "train" / "JPEGImages" / file) as image:
                assert (image.size, image.mode, image.format) == ((96, 64), "RGB", "JPEG")
    ids = [annotation["id"] for annotation in document["annotations"]]
    assert ids == list(range(1, len(ids) + 1))


def test_boxes_and_areas_belong_to_the_masks(document):
    for annotation in document["annotations"]:
        parts = zip(annotation["segmentations"], annotation["bboxes"], annotation["areas"], strict=True)
        for segmentation, box, area in parts:
            assert (segmentation is None) == (box is None) == (area is None)
            if segmentation is None:
                continue
            rle = coco_mask.frPyObjects(segmentation, 64, 96)
            assert coco_mask.area(rle) == area >= 16
            assert coco_mask.toBbox(rle).tolist() == box


def test_masks_of_a_frame_are_disjoint(document):
    taken = {}
    for annotation in document["annotations"]:
        for frame, segmentation in enumerate(annotation["segmentations"]):
            if segmentation is not None:
                mask = coco_mask.decode(coco_mask.frPyObjects(segmentation, 64, 96)).astype(int)
                key = annotation["video_id"], frame
                taken[key] = taken.get(key, 0) + mask
    assert max(total.max() for total in taken.values()) == 1


def test_masks_fit_the_pictures(document, small):
    """Objects are colourful, the ground is grey; so inside a mask the saturation is far higher."""
    inside, outside = [], []
    for video in document["videos"]:
        image = np.asarray(Image.open(small / "train" / "JPEGImages" / video["file_names"][0]), int)
        colourful = image.max(axis=2) - image.min(axis=2) > 50
        segmentations = [a["segmentations"][0] for a in document["annotations"] if a["video_id"] == video["id"]]
        rles = [coco_mask.frPyObjects(s, 64, 96) for s in segmentations if s is not None]
        masks = [coco_mask.decode(rle).astype(bool) for rle in rles]
        shown = np.any(masks, axis=0) if masks else np.zeros((64, 96), bool)
        inside.extend(colourful[shown])
        outside.extend(colourful[~shown])
    assert np.mean(inside) > 0.85
    assert np.mean(outside) < 0.05


def test_the_reader_understands_the_files(small):
    for split in ("train", "test"):
        videos = read_ytvis(small / f"{split}.json", small / split / "JPEGImages", cache=False)
        assert len(videos) == 20
        written = json.loads((small / f"{split}.json").read_text())["annotations"]
        assert videos.num_tracks == len(written)
        assert 36 <= len(written) <= 44  # two a video, on average
        categories = {a["id"]: a["category_id"] for a in written}
        assert {t.id: t.category_id for segmentations in videos.tracks.values() for t in segmentations} == categories
        assert all(frame.is_file() for video in videos.videos for frame in video.frames)
        assert [category.name for category in videos.categories] == [category_name(i) for i in range(40)]


def test_base_classes_span_all_shapes_and_textures():
    classes = [shape_and_texture(index) for index in range(40)]
    assert len(set(classes)) == 40
    base = classes[:20]
    assert {texture for _, texture in base} == set(TEXTURES)
    for shape in SHAPES:
        assert len({texture for name, texture in base if name == shape}) == 4


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_symmetric_distinct_and_inside_their_extent(shape):
    size, radius = (64, 64), 20.0
    masks = {name: coverage(name, (32, 32), radius, 0.0, size) > 0.5 for name in SHAPES}
    mask = masks.pop(shape)
    assert (mask != mask[:, ::-1]).sum() <= 0.03 * mask.sum()
    overlaps = [(mask & other).sum() / (mask | other).sum() for other in masks.values()]
    assert max(overlaps) < 0.85  # 0.835 is a disc and a square
    y, x = np.nonzero(mask)
    assert 0.9 * radius < np.hypot(y - 31.5, x - 31.5).max() < EXTENT * radius


def test_coverage_is_the_exact_area():
    disc = coverage("disc", (30.3, 33.8), 17.0, 0.4, (64, 64))
    assert disc.sum() == pytest.approx(np.pi * 17**2, rel=0.02)
    assert (disc * (np.arange(64) + 0.5)).sum() / disc.sum() == pytest.approx(30.3, abs=0.15)


def test_objects_leave_come_back_and_hide():
    scenes: list[Scene] = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scenes.append(draw_scene(rng, rng.integers(0, 40, 2).tolist(), 10, (64, 96)))
    shown = np.concatenate([scene.masks.any(axis=(2, 3)) for scene in scenes])  # [tracks, frames]
    assert shown.any(axis=1).all()
    assert (~shown).any(axis=1).mean() > 0.3
    between = [not row[np.argmax(row) : 10 - np.argmax(row[::-1])].all() for row in shown]
    assert np.mean(between) > 0.1


def test_every_class_is_dealt_equally_often(tmp_path):
    make_synthetic(tmp_path / "set", train_videos=1, test_videos=160, frames=2, height=32, width=32)
    document = json.loads((tmp_path / "set" / "test.json").read_text())
    counts = Counter(annotation["category_id"] for annotation in document["annotations"])
    assert len(counts) == 40
    assert min(counts.values()) >= 6
    assert max(counts.values()) - min(counts.values()) <= 1


def test_crossings_are_of_one_class_and_leave_the_rest_as_it_was(small, tmp_path):
    """Objects of a pair pass through each other, and half of the pairs leave the picture and come back."""
    make_synthetic(tmp_path / "set", **{**SMALL, "test_videos": 24}, crossings=40)
    assert (tmp_path / "set" / "train.json").read_bytes() == (small / "train.json").read_bytes()
    assert "crossings" not in (small / "synthetic.json").read_text()
    videos = read_ytvis(tmp_path / "set" / "test.json", tmp_path / "set" / "test" / "JPEGImages", cache=False)
    meetings, leaving = [], []
    for video in videos.videos:
        one, two, *others = videos.tracks[video.id]
        assert len(video) == 40
        assert one.category_id == two.category_id
        assert len(others) <= 1
        boxes = [[s and coco_mask.toBbox(s)[0] for s in track.segmentations] for track in (one, two)]
        sides = [a < b for a, b in zip(*boxes, strict=True) if a is not None and b is not None]
        meetings.append(sum(before != after for before, after in itertools.pairwise(sides)))
        leaving.append("01" in "".join("01"[s is not None] for s in one.segmentations).lstrip("0"))
    assert np.mean(meetings) >= 2
    assert 0.25 < np.mean(leaving) < 0.85
    with pytest.raises(UserError, match="crossings: made with crossings=40, asked for 20"):
        make_synthetic(tmp_path / "set", **{**SMALL, "test_videos": 24}, crossings=20)


def test_a_complete_folder_is_kept(small):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    make_synthetic(small, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_other_parameters_or_other_content_are_errors(small, tmp_path):
    with pytest.raises(UserError, match=r"synthetic\.json: seed: made with seed=0, asked for 5; remove"):
        make_synthetic(small, seed=5, **SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not a synthetic data set; choose another folder"):
        make_synthetic(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(UserError, match="height: 8: must be at least 32"):
        make_synthetic(tmp_path / "new", height=8)


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cvis.data.synthetic._write_frames", full_disk)
    with pytest.raises(UserError, match="set: cannot be written: No space left on device"):
        make_synthetic(tmp_path / "set", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_be_filled(tmp_path):
    make_synthetic(tmp_path, train_videos=1, test_videos=1, frames=2)
    assert json.loads((tmp_path / "synthetic.json").read_text())["version"] == VERSION


def test_the_cache_folder_is_made_once(tmp_path, monkeypatch):
    made = []
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path))
    make = "cvis.data.synthetic.make_synthetic"
    monkeypatch.setattr(make, lambda root, seed, world: made.append((root.name, seed, world)))
    assert synthetic_root(3) == tmp_path / f"synthetic-v{VERSION}-seed3"
    assert synthetic_root(world="shape").parent == tmp_path
    assert made == [(f"synthetic-v{VERSION}-seed3", 3, "texture"), (f"synthetic-shape-v{VERSION}-seed0", 0, "shape")]


def test_a_covered_object_shows_only_its_uncovered_pixels():
    behind = np.zeros((2, 20, 20), np.float32)
    front = np.zeros((2, 20, 20), np.float32)
    behind[:, 2:12, 2:12] = 1
    front[0, 2:12, 7:17] = 1  # half of it
    front[1, 1:14, 1:14] = 1  # all of it
    masks = _visible(np.stack([behind, front]))
    assert masks[0].sum(axis=(1, 2)).tolist() == [50, 0]
    assert masks[1].sum(axis=(1, 2)).tolist() == [100, 169]


def test_slivers_count_as_absent():
    sliver = np.zeros((2, 20, 20), np.float32)
    sliver[0, 0, : MIN_VISIBLE - 1] = 1
    sliver[1, 0, :MIN_VISIBLE] = 1
    assert _visible(sliver[None])[0].sum(axis=(1, 2)).tolist() == [0, MIN_VISIBLE]
