"""The cache of annotation files: the same as the file, or absent."""

import numpy as np
import pytest
from annotation_files import small, write

from cvis.data import cache
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_ytvis
from cvis.types import Track, Video


def test_the_cache_gives_the_same_and_is_used(tmp_path, monkeypatch):
    path = write(tmp_path, small())
    first = read_ytvis(path, tmp_path, cache=False)
    assert not (tmp_path / "cache" / "index").exists()
    assert read_ytvis(path, tmp_path) == first
    monkeypatch.setattr("cvis.data.ytvis.parse", None)  # a second parse would fail
    assert read_ytvis(path, tmp_path) == first


def test_another_content_is_another_cache(tmp_path):
    read_ytvis(write(tmp_path, small()), None)
    raw = small()
    raw["annotations"].pop()
    assert read_ytvis(write(tmp_path, raw), None).num_tracks == 2


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: d[:200], lambda d: b"x" * 50, lambda d: flip(d)])
def test_a_damaged_cache_is_rebuilt(tmp_path, damage):
    path = write(tmp_path, small())
    first = read_ytvis(path, None)
    cached = cache.cache_path(first.sha256)
    good = cached.read_bytes()
    cached.write_bytes(damage(good))
    assert read_ytvis(path, None) == first
    assert cache.load(first.sha256) == first


def flip(data: bytes) -> bytes:
    """One byte of the listing changed: the zip's checksum must notice."""
    at = data.index(b'"cat"')
    return data[: at + 1] + b"k" + data[at + 2 :]


def test_a_cache_damaged_anywhere_is_absent_or_right(tmp_path):
    """Every third byte, also those of the zip's own tables: unknown compression, encryption, sizes that lie."""
    first = read_ytvis(write(tmp_path, small()), None)
    cached = cache.cache_path(first.sha256)
    good = cached.read_bytes()
    flips = np.random.default_rng(0).integers(1, 256, len(good)).tolist()
    absent = 0
    for at, value in list(enumerate(flips))[::3]:
        cached.write_bytes(good[:at] + bytes([good[at] ^ value]) + good[at + 1 :])
        loaded = cache.load(first.sha256)
        absent += loaded is None
        assert loaded in (None, first), at
    assert absent > 0.5 * len(flips[::3])


def test_what_cannot_be_cached_is_done_without(tmp_path):
    odd = VideoSet((), (Video(1, "v", 4, 6, ()),), {1: (Track(2**70, 1, 0, (), ()),)}, sha256="odd")
    cache.save(odd)
    assert cache.load("odd") is None


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path / "file"))
    assert read_ytvis(write(tmp_path, small()), None).num_tracks == 3
