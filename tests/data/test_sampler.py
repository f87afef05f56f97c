"""The endless shuffled walk over videos: it can start anywhere and is shared evenly."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvis.data.sampler import ClipSampler
from cvis.errors import UserError

walks = {
    "num_videos": st.integers(1, 30),
    "batch_size": st.integers(1, 9),
    "iterations": st.integers(0, 25),
    "seed": st.integers(0, 2**40),
}


@given(**walks, data=st.data())
def test_a_walk_started_later_is_the_tail_of_the_full_one(num_videos, batch_size, iterations, seed, data):
    start = data.draw(st.integers(0, iterations))
    full = list(ClipSampler(num_videos, batch_size, iterations, seed))
    sampler = ClipSampler(num_videos, batch_size, iterations, seed, start=start)
    assert list(sampler) == full[start:]
    assert len(sampler) == iterations - start
    assert all(len(batch) == batch_size for batch in full)
    longer = list(ClipSampler(num_videos, batch_size, iterations + 3, seed))
    assert longer[:iterations] == full


@given(**walks)
def test_each_epoch_visits_every_video_once(num_videos, batch_size, iterations, seed):
    keys = [key for batch in ClipSampler(num_videos, batch_size, iterations, seed) for key in batch]
    for first in range(0, len(keys) - num_videos + 1, num_videos):
        epoch = [index for index, _ in keys[first : first + num_videos]]
        assert sorted(epoch) == list(range(num_videos))
    assert len({sample_seed for _, sample_seed in keys}) == len(keys)


def test_epochs_and_seeds_differ():
    def order(seed):
        return [index for batch in ClipSampler(40, 40, 2, seed) for index, _ in batch]

    assert order(0)[:40] != order(0)[40:]
    assert order(0) != order(1)


@given(**walks, views=st.integers(1, 4))
def test_with_views_a_video_shows_so_many_clips_in_turn(num_videos, batch_size, iterations, seed, views):
    keys = [key for batch in ClipSampler(num_videos, batch_size, iterations, seed, views=views) for key in batch]
    free = [key for batch in ClipSampler(num_videos, batch_size, iterations, seed) for key in batch]
    assert [index for index, _ in keys] == [index for index, _ in free]
    round_ = views * num_videos
    for epoch, first in enumerate(range(0, len(keys), num_videos)):
        for key in keys[first : first + num_videos]:
            before = keys[max(0, (epoch - views) * num_videos) : first]
            assert (key in before) == (epoch >= views)  # the clip of so many epochs ago, and none of those between
    assert len(set(keys)) == min(len(keys), round_)


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(1, 3), st.integers(1, 4), st.integers(0, 9))
def test_processes_share_each_global_batch(num_videos, each, world_size, seed):
    size = each * world_size
    whole = list(ClipSampler(num_videos, size, 5, seed))
    parts = [list(ClipSampler(num_videos, size, 5, seed, 0, rank, world_size)) for rank in range(world_size)]
    for iteration, batch in enumerate(whole):
        shares = [part[iteration] for part in parts]
        assert [len(share) for share in shares] == [each] * world_size
        assert list(itertools.chain(*shares)) == batch


def test_bad_walks_are_refused():
    with pytest.raises(UserError, match=r"batch_size: 6: cannot be shared evenly by 4 processes; .* multiple of 4"):
        ClipSampler(10, 6, 5, 0, world_size=4)
    with pytest.raises(ValueError, match="start=7/5"):
        ClipSampler(10, 2, 5, 0, start=7)
    with pytest.raises(ValueError, match="num_videos=0"):
        ClipSampler(0, 2, 5, 0)
