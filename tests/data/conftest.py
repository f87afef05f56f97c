import pytest
from moving_block import track, video_set, write_video

from cvis.data.videoset import VideoSet


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def block(tmp_path) -> VideoSet:
    video, masks = write_video(tmp_path, 1, 10)
    return video_set((video, [track(1, 1, 4, masks)]))
