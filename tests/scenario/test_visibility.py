"""No annotation of a class outside C_t in any step: over random data sets, all modes, both policies."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from stream_videos import video_set

from cvis.scenario.visibility import OtherClassPolicy, Visibility, make_tasks
from cvis.types import NO_OBJECT

VISIBILITIES, POLICIES = (st.sampled_from(get_args(choices)) for choices in (Visibility, OtherClassPolicy))


@st.composite
def streams(draw):
    """Random videos (some without any instance), a random learning order, random steps, some classes left out."""
    num_classes = draw(st.integers(2, 7))
    ids = list(range(1, num_classes + 1))
    contents = draw(st.lists(st.lists(st.sampled_from(ids), max_size=4), min_size=1, max_size=12))
    # ids with gaps: a stream must not take them for positions
    videos = video_set({3 * i + 5: classes for i, classes in enumerate(contents)}, num_classes)
    order = draw(st.permutations(ids))[: draw(st.integers(1, num_classes))]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=3)))
    bounds = [0, *(c for c in cuts if c < len(order)), len(order)]
    classes_by_step = [tuple(order[a:b]) for a, b in pairwise(bounds)]
    return videos, classes_by_step


def truth(videos):
    """The annotations as plain tuples, read independently of the engine: video -> [(track, class)]."""
    return {v.id: [(t.id, t.category_id) for t in videos.tracks[v.id]] for v in videos.videos}


@given(
    stream=streams(),
    visibility=VISIBILITIES,
    policy=POLICIES,
)
@settings(max_examples=200, deadline=None)
def test_a_step_sees_its_own_classes_and_nothing_else(stream, visibility, policy):
    videos, classes_by_step = stream
    everything = truth(videos)
    for task in make_tasks(videos, classes_by_step, visibility, policy):
        allowed = set(classes_by_step[task.index]) | ({NO_OBJECT} if policy == "empty_target" else set())
        for video in task.train.videos:
            seen = task.train.tracks[video.id]
            assert {t.category_id for t in seen} <= allowed
            # nothing of C_t is missing or relabelled
            of_step = [(i, c) for i, c in everything[video.id] if c in classes_by_step[task.index]]
            assert [(t.id, t.category_id) for t in seen if t.category_id != NO_OBJECT] == of_step
            assert of_step, "a video of D_t without an instance of C_t"
        others = [c for v in task.train.videos for _, c in everything[v.id] if c not in classes_by_step[task.index]]
        assert task.hidden == len(others)


@given(stream=streams(), policy=POLICIES)
@settings(max_examples=100, deadline=None)
def test_overlap_uses_every_video_that_has_a_class_of_the_step(stream, policy):
    videos, classes_by_step = stream
    tasks = make_tasks(videos, classes_by_step, "overlap", policy)
    for task, classes in zip(tasks, classes_by_step, strict=True):
        expected = {v for v, annotated in truth(videos).items() if {c for _, c in annotated} & set(classes)}
        assert set(task.train.by_id) == expected
    in_stream = {c for classes in classes_by_step for c in classes}
    used = {v for task in tasks for v in task.train.by_id}
    assert used == {v for v, annotated in truth(videos).items() if {c for _, c in annotated} & in_stream}


@given(stream=streams(), visibility=st.sampled_from(["disjoint", "sequential"]))
@settings(max_examples=100, deadline=None)
def test_disjoint_puts_a_video_into_the_step_of_its_newest_class(stream, visibility):
    videos, classes_by_step = stream
    tasks = make_tasks(videos, classes_by_step, visibility, "drop")
    step_of = {c: step for step, new in enumerate(classes_by_step) for c in new}
    for a, b in combinations(tasks, 2):
        assert not set(a.train.by_id) & set(b.train.by_id)
    for video_id, annotated in truth(videos).items():
        steps = [step_of[c] for _, c in annotated if c in step_of]
        holders = [task.index for task in tasks if video_id in task.train.by_id]
        assert holders == ([max(steps)] if steps else [])


@given(stream=streams(), visibility=VISIBILITIES)
@settings(max_examples=100, deadline=None)
def test_an_emptied_target_is_all_zero_where_the_instance_was_and_none_elsewhere(stream, visibility):
    videos, classes_by_step = stream
    original = {track.id: track for track in videos.all_tracks}
    for task in make_tasks(videos, classes_by_step, visibility, "empty_target"):
        emptied = [track for track in task.train.all_tracks if track.category_id == NO_OBJECT]
        assert len(emptied) == task.hidden
        for track in emptied:
            before = original[track.id].segmentations
            assert [s is None for s in track.segmentations] == [s is None for s in before]
            for now in track.segmentations:
                if now is not None:
                    decoded = coco_mask.decode(now)
                    assert decoded.shape == (6, 8)
                    assert not decoded.any()
            assert not any(track.areas)


def test_classes_are_old_once_learned():
    tasks = make_tasks(video_set({1: [1, 2, 3]}, 3), [(3,), (1,), (2,)])
    assert [t.new_classes for t in tasks] == [(3,), (1,), (2,)]
    assert [t.old_classes for t in tasks] == [(), (3,), (3, 1)]
    assert tasks[2].seen_classes == (3, 1, 2)
    assert [t.is_base for t in tasks] == [True, False, False]
