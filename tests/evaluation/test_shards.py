"""Test videos in shards: each video in one of them, and as many frames in each."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvis.errors import UserError
from cvis.evaluation.shards import Shard, all_shards
from cvis.types import Video


def video(number: int, length: int) -> Video:
    return Video(number, f"v{number}", 4, 4, tuple(Path(f"{frame}.jpg") for frame in range(length)))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 5))
def test_every_video_is_in_one_shard_and_frames_are_balanced(lengths, count):
    videos = [video(number, length) for number, length in enumerate(lengths)]
    shares = [Shard(Path(), number + 1, count).videos(videos) for number in range(count)]
    assert sorted(v.id for share in shares for v in share) == list(range(len(videos)))
    assert all([v.id for v in share] == sorted(v.id for v in share) for share in shares)
    frames = [sum(map(len, share)) for share in shares]
    assert max(frames) - min(frames) <= max(lengths)


def test_shards_of_two_divisions_are_not_mixed(tmp_path):
    for shard in (Shard(tmp_path, 1, 2), Shard(tmp_path, 1, 3)):
        shard.digest.touch()
    with pytest.raises(UserError, match="shards of 2 and of 3; give all --shard 1/n to n/n of one n"):
        all_shards(tmp_path)
