"""The held-out split: a pure function of the classes of each video, stratified."""

import hashlib
import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest
from annotation_files import small, write
from hypothesis import given
from hypothesis import strategies as st
from realvis import REALVIS, needs_realvis

from cvis.data.datasets import DATASETS
from cvis.data.split import expected_sha256, frames_split, holdout_split, make_split, read_splits, split_of
from cvis.data.ytvis import read_ytvis
from cvis.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CLASSES_2019 = ROOT.parent / "shared" / "data" / "ytvis2019_train_video_classes.json"

single = st.dictionaries(st.integers(0, 500), st.integers(0, 5).map(lambda c: [c]), max_size=80)
several = st.dictionaries(st.integers(0, 500), st.lists(st.integers(0, 6), max_size=4), max_size=60)


def count(classes, ids=None):
    return Counter(c for i in (classes if ids is None else ids) for c in set(classes[i]))


@given(several)
def test_it_is_a_partition_under_checksum(classes):
    split = holdout_split(classes)
    assert sorted(split.train + split.test) == sorted(classes)
    assert list(split.train) == sorted(split.train)
    assert list(split.test) == sorted(split.test)
    text = '{"test":[' + ",".join(map(str, split.test)) + '],"train":[' + ",".join(map(str, split.train)) + "]}"
    assert split.sha256 == hashlib.sha256(text.encode()).hexdigest()


@given(several, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(classes, random):
    ids = list(classes)
    random.shuffle(ids)
    shuffled = {i: random.sample(classes[i] * 2, len(classes[i]) * 2) for i in ids}
    assert holdout_split(shuffled) == holdout_split(classes)


@given(several, st.sampled_from([0.1, 0.2, 0.35, 0.5]))
def test_every_class_keeps_at_least_half_in_train(classes, fraction):
    total, test = count(classes), count(classes, holdout_split(classes, fraction).test)
    assert all(test[c] <= total[c] / 2 for c in total)


@given(several)
def test_a_class_with_six_videos_has_three_test_videos_or_none_more_can_be_had(classes):
    split = holdout_split(classes)
    total, test = count(classes), count(classes, split.test)
    for c in (c for c in total if total[c] >= 6 and test[c] < 3):
        for i in (i for i in split.train if c in classes[i]):
            assert any((test[k] + 1) > total[k] / 2 for k in set(classes[i])), "this video could be moved"


@given(single)
def test_with_one_class_per_video_the_strata_are_exact(classes):
    total, test = count(classes), count(classes, holdout_split(classes).test)
    for c, n in total.items():
        assert test[c] >= (3 if n >= 6 else 1 if n >= 2 else 0)
        assert abs(test[c] - n / 5) <= 2  # three of six is the most that stratifying adds


@given(st.integers(0, 300), st.integers(0, 3))
def test_videos_without_instances_are_split_too(n, offset):
    split = holdout_split({i + offset: () for i in range(n)})
    assert len(split.test) == min(max(3 if n >= 6 else 1, round(n / 5)), n // 2)


@pytest.mark.parametrize("fraction", [0, -0.1, 0.51, float("nan")])
def test_a_fraction_out_of_range(fraction):
    with pytest.raises(UserError, match=r"fraction: .*\(0, 0\.5\]; choose"):
        holdout_split({1: [1]}, fraction)


def test_youtube_vis_2019():
    if not CLASSES_2019.is_file():
        pytest.skip("the classes of the 2019 videos are not on this machine")
    classes = {int(i): indices for i, indices in json.loads(CLASSES_2019.read_text()).items()}
    assert len(classes) == DATASETS["ytvis2019"].train_videos
    split = holdout_split(classes)
    assert split.sha256 == expected_sha256("ytvis2019")
    assert abs(len(split.test) / len(classes) - 0.2) < 0.01
    total, test = count(classes), count(classes, split.test)
    assert len(total) == 40
    assert all(test[c] >= 3 for c in total)
    assert all(abs(test[c] - total[c] / 5) <= 1 for c in total)
    with_ids = holdout_split({i: [c + 1 for c in indices] for i, indices in classes.items()})
    assert with_ids == split


def test_only_what_was_computed_is_confirmed():
    splits = read_splits()
    assert set(splits) <= set(DATASETS)
    for name, entry in splits.items():
        assert (entry["status"] == "confirmed") == ("sha256" in entry)
        assert expected_sha256(name) == entry.get("sha256")
    assert expected_sha256("custom") is None


def test_a_split_on_disk(tmp_path):
    path = write(tmp_path, small())
    split = make_split(path, tmp_path / "out" / "split.json")
    assert split == split_of(read_ytvis(path, None))
    on_disk = json.loads((tmp_path / "out" / "split.json").read_text())
    assert on_disk == {"train": list(split.train), "test": list(split.test), "sha256": split.sha256}


def test_frames_are_split_in_time(tmp_path):
    raw = small()
    one = {"id": 8, "height": 4, "width": 6, "length": 1, "file_names": ["c/0.jpg"]}
    long = {**one, "id": 9, "length": 10, "file_names": [f"d/{t}.jpg" for t in range(10)]}
    raw["videos"] += [one, long]
    split = frames_split(read_ytvis(write(tmp_path, raw), None))
    assert split.train == {0: (0, 2), 7: (0, 1), 8: (0, 1), 9: (0, 8)}
    assert split.test == {0: (2, 3), 7: (1, 2), 9: (8, 10)}


@needs_realvis
def test_real_videos_are_split_in_time():
    videos = read_ytvis(REALVIS / "instances.json", None)
    split = frames_split(videos)
    train, test = videos.slice_frames(split.train), videos.slice_frames(split.test)
    assert len(train) == len(videos)
    assert sum(map(len, train.videos)) + sum(map(len, test.videos)) == sum(map(len, videos.videos))
    frames = {p for v in train.videos for p in v.frames}
    assert not frames & {p for v in test.videos for p in v.frames}


def test_the_script_keeps_a_checksum(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("make_splits", ROOT / "scripts" / "make_splits.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "SPLITS", tmp_path / "splits.toml")
    classes = {str(i): [i % 2] for i in range(20)}
    (tmp_path / "classes.json").write_text(json.dumps(classes))
    monkeypatch.setattr("sys.argv", ["make_splits", "ovis", "--classes", str(tmp_path / "classes.json"), "--write"])
    assert script.main() == 0
    expected = holdout_split({i: [i % 2] for i in range(20)}).sha256
    assert f"sha256 {expected}" in capsys.readouterr().out
    written = (tmp_path / "splits.toml").read_text()
    assert f'[ovis]\nstatus = "confirmed"\nsha256 = "{expected}"' in written
    assert expected_sha256("ytvis2019") in written
    monkeypatch.setattr("sys.argv", ["make_splits", "ovis", "--ann", str(tmp_path / "gone.json")])
    assert script.main() == 2
    assert "gone.json" in capsys.readouterr().err
