"""Both kernels against decoded pixels, against each other, and on damaged strings."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_sets import encode, set_of, track_masks, track_of, tracks_of, video_of

from cvis.data import fallback, kernel, kernel_source
from cvis.data.rle import RLEError, read_segmentation
from cvis.data.track_masks import TrackMasks, backend
from cvis.errors import UserError
from cvis.evaluation import VideoAP
from cvis.evaluation.overlap import frame_overlaps

KERNELS = ("numba", "pycocotools")


def masks_of(rng, height: int, width: int):
    """One mask of each kind that a run-length code has a corner for."""
    shape = (height, width)
    blank, first, last, inner = (np.zeros(shape, dtype=bool) for _ in range(4))
    first.flat[0] = last.flat[-1] = inner[height // 2, width // 2] = True
    return [None, blank, ~blank, first, last, ~first, ~last, inner, *(rng.random(shape) < p for p in (0.05, 0.5, 0.95))]


def tracks_as(masks, num_frames):
    """The same masks as rows of tracks: (RLE, bool [N, T, H, W])."""
    shape = next(m.shape for m in masks if m is not None)
    rows = [masks[i : i + num_frames] for i in range(0, len(masks) - num_frames + 1, num_frames)]
    pixels = np.array([[np.zeros(shape, dtype=bool) if m is None else m for m in row] for row in rows])
    return [[None if m is None else encode(m) for m in row] for row in rows], pixels


def decoded(texts, pixels, module):
    """(run ends, their starts, areas, sound); the fallback has no run ends."""
    offsets = np.cumsum([0, *map(len, texts)])
    return module.decode(np.frombuffer(bytearray().join(texts), np.uint8), offsets, pixels)


SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (8, 8), (17, 5), (64, 96), (1, 5000), (1080, 1920)]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("size", SIZES)
def test_areas_and_intersections_are_pixel_counts(size, name, monkeypatch):
    monkeypatch.setenv("CVIS_KERNEL", name)
    rng = np.random.default_rng(size)
    masks = masks_of(rng, *size) if size[0] > 1000 else masks_of(rng, *size) + masks_of(rng, *size)[::-1]
    tracks, pixels = tracks_as(masks, 11 if size[0] > 1000 else 2)
    decoded = track_masks(tracks)
    np.testing.assert_array_equal(decoded.areas, pixels.sum(axis=(2, 3)))
    expected = np.array([[((a & b).sum(axis=(1, 2)), (a | b).sum(axis=(1, 2))) for b in pixels] for a in pixels])
    every = np.arange(len(tracks))
    np.testing.assert_array_equal(frame_overlaps(decoded, decoded, every, every), np.moveaxis(expected, 2, 0))


def test_both_kernels_measure_alike():
    rng = np.random.default_rng(0)
    texts = [b"" if m is None else encode(m)["counts"] for _ in range(30) for m in masks_of(rng, 13, 7)]
    for one, other in zip(decoded(texts, 91, kernel)[2:], decoded(texts, 91, fallback)[2:], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_the_fallback_measures_in_chunks(monkeypatch):
    rng = np.random.default_rng(1)
    texts = [b"" if m is None else encode(m)["counts"] for _ in range(5) for m in masks_of(rng, 13, 7)]
    whole = decoded(texts, 91, fallback)
    for size in (1, 64, 500):
        monkeypatch.setattr(fallback, "_CHUNK", size)
        for one, other in zip(decoded(texts, 91, fallback), whole, strict=True):
            np.testing.assert_array_equal(one, other)


def damage(text: bytes, how: str, position: int, value: int) -> bytes:
    position %= len(text) + 1
    changed = {
        "cut": text[:position],
        "replace": text[:position] + bytes([value]) + text[position + 1 :],
        "insert": text[:position] + bytes([value]) + text[position:],
        "more": text + b"o" * (value % 40),
    }
    return changed[how]


@given(
    st.integers(0, 500),
    st.lists(st.tuples(st.sampled_from(["cut", "replace", "insert", "more"]), st.integers(0, 99), st.integers(0, 255))),
)
@settings(max_examples=400, deadline=None)
def test_damaged_strings_are_found_alike_and_harm_nobody(seed, steps):
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 20)), int(rng.integers(1, 20)))
    texts = [encode(rng.random(size) < 0.4)["counts"] for _ in range(3)]
    for how, position, value in steps:
        texts[1] = damage(texts[1], how, position, value)
    results = [decoded(texts, size[0] * size[1], module) for module in (kernel, fallback)]
    for one, other in zip(results[0][2:], results[1][2:], strict=True):
        np.testing.assert_array_equal(one, other)
    ends, starts, areas, sound = results[0]
    for n, text in enumerate(texts):
        try:
            expected = read_segmentation({"size": list(size), "counts": text}, *size)[1] if text else 0
            assert (areas[n], bool(sound[n])) == (expected, True)
            assert starts[n] == starts[n + 1] or ends[starts[n + 1] - 1] == size[0] * size[1]
        except RLEError:
            assert (areas[n], bool(sound[n]), starts[n + 1] - starts[n]) == (0, False, 0)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.integers(1, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_any_bytes_decode_alike(texts, pixels):
    for one, other in zip(decoded(texts, pixels, kernel)[2:], decoded(texts, pixels, fallback)[2:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("counts", [b"", "", b"o", b"0\xff", "0\xe9", b"oooooooooooooooooo0", b"11"])
def test_a_damaged_mask_is_named(counts, name, monkeypatch):
    monkeypatch.setenv("CVIS_KERNEL", name)
    bad = {"size": [8, 8], "counts": counts}
    metric = VideoAP(set_of([video_of(1, 2)], [track_of(1, 1, 3, [np.eye(8, dtype=bool), None])]))
    tracks = tracks_of(1, (3, 0.5, [None, None]), (3, 0.5, [None, None]))
    object.__setattr__(tracks, "segmentations", ((None, None), (None, bad)))
    with pytest.raises(
        UserError, match=r"video 1: track 1: segmentations\[1\]\.counts: .*; damaged, .*encode"
    ) as error:
        metric.add(tracks)
    assert "\n" not in str(error.value)
    assert metric.missing_videos == (1,)


def test_frames_too_large_for_the_code_are_refused():
    with pytest.raises(UserError, match="size: 65536 x 65536"):
        TrackMasks.of([None], 1, 65536, 65536)


def test_areas_of_large_frames_do_not_overflow():
    height, width = 65535, 65535
    runs = height * width  # one run, all foreground
    text = b"0" + compressed(runs)
    for module in (kernel, fallback):
        ends, _, areas, sound = decoded([text], runs, module)
        assert (areas.tolist(), sound.tolist()) == ([runs], [True])
        assert ends.tolist() == ([0, runs] if module is kernel else [])


def compressed(number: int) -> bytes:
    codes = []
    while number > 15:
        codes.append(number & 31 | 32)
        number >>= 5
    return bytes(48 + code for code in [*codes, number])


def test_the_environment_chooses_the_kernel(monkeypatch):
    for name, module in (("numba", kernel), ("pycocotools", fallback), ("", kernel)):
        monkeypatch.setenv("CVIS_KERNEL", name)
        assert backend() is module
    monkeypatch.setenv("CVIS_KERNEL", "fortran")
    with pytest.raises(UserError, match="CVIS_KERNEL: fortran: no such kernel; use one of numba, pycocotools"):
        backend()


def outcome_of(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_numba_the_fallback_serves_unless_numba_is_demanded():
    code = (
        "import os, sys; sys.modules['llvmlite'] = None\n"  # and with it numba
        "from cvis.errors import UserError\n"
        "from cvis.data.track_masks import backend\n"
        "print(backend().__name__)\n"
        "os.environ['CVIS_KERNEL'] = 'numba'\n"
        "try:\n    backend()\nexcept UserError as error:\n    print(error)"
    )
    first, second = outcome_of(code).splitlines()
    assert first == "cvis.data.fallback"
    assert second.startswith("CVIS_KERNEL: numba: cannot be imported: ")


def test_machine_code_is_made_once_and_again_where_it_is_damaged_or_cannot_be_kept(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(kernel_source, "machine_code", lambda machine: made.append(machine) or b"code")
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path))
    for machine, count in (("one", 1), ("one", 1), ("other", 2)):
        assert kernel._machine_code(machine, machine) == b"code"
        assert len(made) == count
    for kept in (tmp_path / "kernel").iterdir():
        kept.write_bytes(kept.read_bytes()[:-1])
    assert kernel._machine_code("one", "one") == b"code"
    monkeypatch.setenv("CVIS_CACHE", "/dev/null")
    assert kernel._machine_code("one", "one") == b"code"
    assert len(made) == 4


def test_the_kernel_is_loaded_only_when_masks_are_compared_and_numba_only_to_make_it():
    code = (
        "import sys\n"
        "from cvis.evaluation import VideoAP\n"
        "heavy = {'torch', 'mmdet', 'mmengine', 'numba', 'llvmlite'}\n"
        "print(heavy & set(sys.modules))\n"
        "from cvis.data.track_masks import backend\n"
        "print(backend().__name__, heavy & set(sys.modules))"
    )
    outcome_of(code)  # makes it, if no test before did
    assert outcome_of(code).splitlines() == ["set()", "cvis.data.kernel {'llvmlite'}"]
