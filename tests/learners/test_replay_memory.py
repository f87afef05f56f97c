"""The replay memory: which tracks it keeps, that it is ids alone, and that no future class ever comes out of it."""

import itertools
import random

import pytest
import torch
from two_models import STEPS, make_learner, make_segmenter, make_task

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.learners.balconpas import BalConpas
from cvis.learners.replay import Replay
from cvis.learners.replay_memory import ReplayMemory
from cvis.learners.settings import check_settings
from cvis.scenario import Task, audit
from cvis.scenario.visibility import make_tasks
from cvis.types import NO_OBJECT, RLE, Category, Track, Video

CLASSES = tuple(itertools.chain(*STEPS))
SEEN = RLE(size=[4, 4], counts=b"04<")


def make_tracks(counts=(6, 6, 6, 6, 6, 6), videos=9, crowd=(), hidden=()) -> VideoSet:
    """``counts[i]`` tracks of the i-th class, spread over the videos; some are crowds, some never visible."""
    numbers = itertools.count(1)
    tracks: dict[int, list[Track]] = {v: [] for v in range(1, videos + 1)}
    for category, count in zip(CLASSES, counts, strict=True):
        for index in range(count):
            number, video = next(numbers), 1 + (index + category) % videos
            masks = (None, None) if number in hidden else (None, SEEN)
            tracks[video].append(Track(number, video, category, masks, (0.0, 4.0), number in crowd))
    own = tuple(Video(v, f"v{v}", 4, 4, ()) for v in tracks)
    categories = tuple(Category(c, f"class {c}") for c in CLASSES)
    return VideoSet(categories, own, {v: tuple(found) for v, found in tracks.items()}, "")


def fill(memory: ReplayMemory, tasks, steps: int, seed: int = 0) -> ReplayMemory:
    for task in tasks[:steps]:
        memory.begin_task(task)
        torch.manual_seed(seed + task.index)
        memory.end_task(task)
    return memory


def ids_by_class(videos: VideoSet) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for track in itertools.chain(*videos.tracks.values()):
        found.setdefault(track.category_id, []).append(track.id)
    return {category: sorted(ids) for category, ids in found.items()}


@pytest.mark.parametrize("k", [1, 3, 20])
def test_k_tracks_of_each_old_class_and_of_no_other(k):
    data = make_tracks()
    tasks = make_tasks(data, STEPS)
    memory = fill(ReplayMemory(k), tasks, 3)
    assert memory.videos(before=0) is None
    for step in (1, 2, 3):
        kept = ids_by_class(memory.videos(before=step))
        assert kept.keys() == set(itertools.chain(*STEPS[:step]))
        everything = ids_by_class(data)
        for category, ids in kept.items():
            assert len(ids) == min(k, 6)
            assert set(ids) <= set(everything[category])
        audit([kept.keys()], make_next(step), replays=True)


def make_next(step: int) -> Task:
    """The task that would train with what the steps before left; after the last step, any."""
    return make_task(step) if step < len(STEPS) else Task(step, (99,), CLASSES, make_tracks(), 0)


def test_the_draw_is_that_of_the_seed_and_not_of_the_order_of_the_file():
    data = make_tracks()
    tasks = make_tasks(data, STEPS)
    shuffled = {video: tuple(random.Random(1).sample(own, len(own))) for video, own in data.tracks.items()}
    again = make_tasks(data.with_tracks(shuffled, "shuffled"), STEPS)
    kept = [fill(ReplayMemory(2), one, 3, seed).state_dict() for one, seed in ((tasks, 0), (again, 0), (tasks, 9))]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    assert any(not torch.equal(kept[0][name], kept[2][name]) for name in kept[0])


def test_every_track_has_its_chance():
    tasks = make_tasks(make_tracks(), STEPS)
    drawn = [fill(ReplayMemory(1), tasks, 1, seed).track_ids(0)[0, 0].item() for seed in range(60)]
    assert set(drawn) == set(ids_by_class(tasks[0].train)[7])


def test_a_checkpoint_holds_ids_and_nothing_else():
    tasks = make_tasks(make_tracks(), STEPS)
    state = fill(ReplayMemory(4), tasks, 3).state_dict()
    assert {name: (value.dtype, tuple(value.shape)) for name, value in state.items()} == {
        "step0": (torch.int64, (3, 4)),
        "step1": (torch.int64, (2, 4)),
        "step2": (torch.int64, (1, 4)),
    }


def test_loaded_ids_are_the_same_memory():
    tasks = make_tasks(make_tracks(), STEPS)
    memory, fresh = fill(ReplayMemory(2), tasks, 2), ReplayMemory(2)
    for task in tasks[:2]:
        fresh.begin_task(task)
        assert fresh.videos(before=task.index + 1) is None  # nothing is drawn yet
    fresh.load_state_dict(memory.state_dict(), strict=True)
    assert fresh.videos(before=2) == memory.videos(before=2)


def test_a_learners_ids_keep_their_type():
    learner = make_learner("replay", 2).half()
    assert learner.memory.track_ids(0).dtype == torch.int64


def test_a_class_with_fewer_tracks_gives_all_of_them():
    tasks = make_tasks(make_tracks(counts=(2, 0, 6, 1, 1, 1)), STEPS)
    memory = fill(ReplayMemory(3), tasks, 1)
    everything = ids_by_class(tasks[0].train)
    kept = ids_by_class(memory.videos(before=1))
    assert (kept[7], 3 in kept, len(kept[12])) == (everything[7], False, 3)
    assert (memory.track_ids(0) == -1).sum(1).tolist() == [1, 3, 0]


def test_crowds_and_tracks_that_are_never_visible_are_left_out():
    tasks = make_tasks(make_tracks(crowd=(1, 2), hidden=(3, 4, 7)), STEPS)
    kept = ids_by_class(fill(ReplayMemory(20), tasks, 1).videos(before=1))
    assert kept[7] == [5, 6]
    assert kept[3] == [8, 9, 10, 11, 12]


def test_of_a_remembered_video_only_the_remembered_tracks_are_labelled():
    tasks = make_tasks(make_tracks(videos=2), STEPS)
    memory = fill(ReplayMemory(1), tasks, 1)
    kept = memory.videos(before=1)
    ids = set(memory.track_ids(0).flatten().tolist())
    assert {t.id for t in itertools.chain(*kept.tracks.values())} == ids
    assert all(kept.tracks[video.id] for video in kept.videos)
    assert len(tasks[0].train.tracks[1]) > 1


@pytest.mark.parametrize("kind", [Replay, BalConpas])
def test_a_step_trains_on_its_videos_and_on_the_memory(kind):
    tasks = make_tasks(make_tracks(videos=4), STEPS)
    learner = kind(make_segmenter(), tracks_per_class=2)
    assert learner.replays
    for task in tasks:
        learner.begin_task(task)
        data = learner.train_data(task)
        kept = ids_by_class(data)
        assert kept.keys() == set(task.seen_classes)
        for category in task.seen_classes:
            everything = ids_by_class(tasks[task.index].train) if category in task.new_classes else None
            assert kept[category] == everything[category] if everything else len(kept[category]) == 2
        both = [v for v, own in data.tracks.items() if len({t.category_id in task.old_classes for t in own}) == 2]
        assert bool(both) == (not task.is_base)  # a video of the step that is remembered too has the tracks of both
        learner.end_task(task)


def test_a_remembered_track_takes_the_place_of_its_empty_target():
    """``other_class_policy=empty_target``: no track is at once an object to find and one that must not be found."""
    tasks = make_tasks(make_tracks(videos=2), STEPS, policy="empty_target")
    learner = Replay(make_segmenter(), tracks_per_class=2)
    for task in tasks[:2]:
        learner.begin_task(task)
        torch.manual_seed(task.index)
        learner.end_task(task)
    remembered = set(learner.memory.track_ids(0).flatten().tolist())
    before = {t.id: t for t in itertools.chain(*tasks[1].train.tracks.values())}
    assert {before[number].category_id for number in remembered} == {NO_OBJECT}  # seen again, in videos of the step
    after = {t.id: t for t in itertools.chain(*learner.train_data(tasks[1]).tracks.values())}
    assert after.keys() == before.keys()
    for number, track in after.items():
        assert track.category_id == (original_class(number) if number in remembered else before[number].category_id)
        assert track.segmentations == ((None, SEEN) if number in remembered else before[number].segmentations)


def original_class(number: int) -> int:
    return next(c for c, ids in ids_by_class(make_tracks(videos=2)).items() if number in ids)


@pytest.mark.parametrize("kind", [Replay, BalConpas])
def test_without_a_memory_nothing_is_replayed(kind):
    tasks = make_tasks(make_tracks(), STEPS)
    learner = kind(make_segmenter(), tracks_per_class=0)
    for task in tasks[:2]:
        learner.begin_task(task)
        assert learner.train_data(task) is task.train
        learner.end_task(task)
    assert learner.memory.videos(before=2) is None
    if kind is BalConpas:
        assert not learner.replays


@pytest.mark.parametrize("k", [-1, 1.5, "3", True, None])
def test_a_number_of_tracks_is_checked(k):
    with pytest.raises(UserError, match=r"^learner\.tracks_per_class: .*"):
        check_settings(Replay, {"tracks_per_class": k})
