"""The whole stream: sequence, hash, splits, refusals, description."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from stream_videos import video_set

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.scenario import build, describe
from cvis.scenario.spec import parse_spec

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CLASSES_2019 = SHARED / "ytvis2019_train_video_classes.json"

CONTENTS = {1: [1, 2], 2: [2, 3, 3], 3: [3, 4, 1], 4: [4], 5: [5, 1], 6: [6, 5], 7: [6], 8: []}


def spec(**fields):
    base = {"name": "s", "dataset": "custom", "annotations": "a.json", "base": 2, "increment": 2, "split": "same"}
    return parse_spec({**base, **fields}, "s.toml")


@pytest.fixture
def videos() -> VideoSet:
    return video_set(CONTENTS, 6)


def test_a_scenario_is_a_sequence_of_tasks(videos):
    scenario = build(spec(order=["class6", 5, 1, 2, 3, 4]), videos)
    assert len(scenario) == 3
    assert [t.index for t in scenario] == [0, 1, 2]
    assert scenario[-1].new_classes == (3, 4)
    assert scenario[:2] == (scenario[0], scenario[1])
    assert scenario.classes == (6, 5, 1, 2, 3, 4)
    assert scenario.base_classes == (6, 5)
    assert scenario.categories[6] == "class6"
    assert len(scenario.test) == 8
    assert scenario.test.num_tracks == videos.num_tracks


def test_hash_moves_with_whatever_a_learner_sees_and_with_nothing_else(videos):
    reference = build(spec(), videos)
    assert build(spec(), videos).hash == reference.hash
    assert build(spec(name="other", description="x", annotations="b/a.json"), videos).hash == reference.hash
    assert build(spec(order=[1, 2, 3, 4, 5, 6]), videos).hash == reference.hash  # the same order, spelled out
    others = [
        build(spec(order="random:3"), videos),
        build(spec(increment=1), videos),
        build(spec(visibility="disjoint"), videos),
        build(spec(visibility="sequential"), videos),
        build(spec(other_class_policy="empty_target"), videos),
        build(spec(split="frames"), videos),
        build(spec(), video_set({**CONTENTS, 8: [1]}, 6)),
        build(spec(split="test-file", test_annotations="t.json"), videos, video_set({1: [1]}, 6)),
    ]
    hashes = [reference.hash, *(other.hash for other in others)]
    assert len(set(hashes)) == len(hashes)
    assert all(len(h) == 64 for h in hashes)


def test_merged_is_one_step_that_sees_everything_and_is_scored_like_its_origin(videos):
    scenario = build(spec(visibility="disjoint"), videos)
    joint = scenario.merged()
    (task,) = joint
    assert task.new_classes == scenario.classes
    assert task.old_classes == ()
    assert task.hidden == 0
    assert set(task.train.by_id) == {1, 2, 3, 4, 5, 6, 7}
    assert task.train.num_tracks == videos.num_tracks
    assert joint.classes_by_step == scenario.classes_by_step
    assert joint.base_classes == (1, 2)
    assert joint.hash == f"{scenario.hash}-joint"
    assert joint.merged() is joint


def test_frames_split_parts_every_video(videos):
    long = video_set(CONTENTS, 6, frames=10, absent=None)
    scenario = build(spec(split="frames"), long)
    assert {len(v) for v in scenario.train.videos} == {8}
    assert {len(v) for v in scenario.test.videos} == {2}
    last_train, first_test = scenario.train.by_id[1].frames[-1].stem, scenario.test.by_id[1].frames[0].stem
    assert (last_train, first_test) == ("7", "8")


def test_test_file_needs_a_test_set_of_the_same_categories(videos):
    fields = {"split": "test-file", "test_annotations": "t.json"}
    with pytest.raises(UserError, match=r"s\.toml: split: 'test-file': .*no test annotations"):
        build(spec(**fields), videos, None, "s.toml")
    with pytest.raises(UserError, match="different categories"):
        build(spec(**fields), videos, video_set({1: [1]}, 5), "s.toml")


def test_an_empty_class_in_a_step_is_refused(videos):
    # class 2 stands only in videos that also hold class 3, which is learned later
    shadowed = video_set({1: [2, 3], 2: [1], 3: [3]}, 3)
    build(spec(increment=1, base=1), shadowed)
    with pytest.raises(UserError, match=r"s\.toml: order: 'class2': an empty class in step 1") as caught:
        build(spec(increment=1, base=1, visibility="disjoint"), shadowed, where="s.toml")
    assert "exclude" in str(caught.value)
    assert "\n" not in str(caught.value)
    scenario = build(spec(increment=1, base=1, visibility="disjoint", exclude=["class2"]), shadowed)
    assert scenario.classes == (1, 3)


def test_a_class_without_test_ground_truth_is_named(videos):
    test = video_set({1: [1, 2, 3], 2: [4, 6]}, 6)
    scenario = build(spec(split="test-file", test_annotations="t.json"), videos, test)
    assert scenario.classes_without_test == (5,)
    assert describe(scenario)["classes_without_test"] == [{"id": 5, "name": "class5"}]


def test_describe_counts_by_hand(videos):
    shown = describe(build(spec(), videos))
    assert json.loads(json.dumps(shown)) == shown
    rows = [
        (s["train_videos"], s["test_videos"], s["visible_instances"], s["hidden_instances"]) for s in shown["steps"]
    ]
    # step 0 = classes 1, 2: videos 1, 2, 3, 5; step 1 = 3, 4: videos 2, 3, 4; step 2 = 5, 6: videos 5, 6, 7
    assert rows == [(4, 4, 5, 5), (3, 3, 5, 2), (3, 3, 4, 1)]
    assert shown["steps"][1]["classes"] == [{"id": 3, "name": "class3"}, {"id": 4, "name": "class4"}]
    emptied = describe(build(spec(other_class_policy="empty_target"), videos))
    assert [s["visible_instances"] for s in emptied["steps"]] == [5, 5, 4]
    assert shown["protocol"]["visibility"] == "overlap"
    assert (shown["train_videos"], shown["train_instances"]) == (8, 14)


@pytest.mark.skipif(not CLASSES_2019.exists(), reason="the class lists of YouTube-VIS 2019 are not here")
@pytest.mark.parametrize(
    ("increment", "expected"),
    [
        (4, [1762, 184, 175, 143, 145, 123]),
        (2, [1762, 83, 101, 87, 88, 69, 74, 82, 63, 69, 54]),
    ],
)
def test_video_counts_of_the_published_streams(increment, expected):
    lists = json.loads(CLASSES_2019.read_text())
    videos = video_set({int(v): [index + 1 for index in c] for v, c in lists.items()}, 40, frames=1)
    scenario = build(spec(base=20, increment=increment), videos)
    assert [len(task.train) for task in scenario] == expected
    counted = Counter(
        step for classes in lists.values() for step in {0 if c < 20 else 1 + (c - 20) // increment for c in classes}
    )
    assert [counted[t] for t in range(len(scenario))] == expected
    disjoint = build(spec(base=20, increment=increment, visibility="disjoint"), videos)
    assert sum(len(task.train) for task in disjoint) == 2238
