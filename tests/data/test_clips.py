import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from moving_block import PLAIN, track, video_set, write_video

from cvis.data.clips import ClipDataset, ClipSampling, collate
from cvis.data.frames import Crop, View, resized
from cvis.errors import UserError
from cvis.learners.distill import with_pseudo_labels
from cvis.segmenters.outputs import ProposedTracks
from cvis.types import NO_OBJECT


def times_of(sample) -> list[int]:
    return [int(t) for t in sample.name.split("[")[1].rstrip("]").split(",")]


def same(a, b) -> bool:
    tensors = (torch.equal(a.frames, b.frames), torch.equal(a.masks, b.masks))
    return all(tensors) and torch.equal(a.category_ids, b.category_ids) and a.name == b.name


def test_a_clip_is_a_pure_function_of_its_key(block):
    how = ClipSampling(frame_range=5, short_sides=(30, 40, 50))
    dataset = ClipDataset(block, how)
    first = [dataset[0, seed] for seed in range(8)]
    np.random.seed(0)
    torch.manual_seed(0)
    state, torch_state = np.random.get_state()[1].tolist(), torch.get_rng_state()
    again = [ClipDataset(block, how)[0, seed] for seed in reversed(range(8))][::-1]
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not all(same(first[0], other) for other in first[1:])
    assert np.random.get_state()[1].tolist() == state
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_shapes_and_types(block):
    sample = ClipDataset(block, PLAIN)[0, 1]
    assert (sample.frames.shape, sample.frames.dtype) == ((2, 3, 40, 56), torch.uint8)
    assert (sample.masks.shape, sample.masks.dtype) == ((1, 2, 40, 56), torch.bool)
    assert (sample.category_ids.tolist(), sample.category_ids.dtype) == ([4], torch.int64)
    assert sample.frames.is_contiguous()


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4])
def test_frames_are_sorted_distinct_and_in_range(block, num_frames):
    how = dataclasses.replace(PLAIN, num_frames=num_frames)
    dataset = ClipDataset(block, how)
    drawn = [times_of(dataset[0, seed]) for seed in range(150)]
    for times in drawn:
        assert times == sorted(set(times))
        assert len(times) == num_frames
        # every frame lies within 3 of the reference, which is one of them
        assert any(all(abs(t - reference) <= 3 for t in times) for reference in times)
    assert {t for times in drawn for t in times} == set(range(10))


def test_the_named_frames_are_the_ones_shown(block):
    dataset = ClipDataset(block, PLAIN)
    for seed in range(10):
        sample = dataset[0, seed]
        grounds = [int(frame[0].min()) for frame in sample.frames]  # grey level t in frame t
        assert grounds == times_of(sample)


@pytest.mark.parametrize("short_side", [40, 80, 27, 61])
def test_masks_stay_on_their_pixels(block, short_side):
    dataset = ClipDataset(block, dataclasses.replace(PLAIN, short_sides=(short_side,), flip=0.5))
    lefts = set()
    for seed in range(16):
        sample = dataset[0, seed]
        bright = sample.frames[:, 0] > 128
        mask = sample.masks[0]
        assert bright.shape == mask.shape
        # bilinear at the threshold of one half and nearest neighbour round the same border
        wrong = (bright != mask).sum() / mask.sum()
        assert wrong == 0 if short_side == 40 else wrong < 0.08
        shift = [
            (torch.nonzero(m).double().mean(0) - torch.nonzero(b).double().mean(0)).abs().max()
            for m, b in zip(mask, bright, strict=True)
        ]
        assert max(shift) < 0.51  # an edge may be rounded, by half a pixel
        lefts.add(bool(torch.nonzero(mask[0])[:, 1].double().mean() < mask.shape[-1] / 2))
    assert lefts == {True, False} or short_side != 40


def test_a_flip_is_the_exact_mirror_image_of_the_whole_clip(block):
    straight = ClipDataset(block, dataclasses.replace(PLAIN, flip=0.0))
    mirrored = ClipDataset(block, dataclasses.replace(PLAIN, flip=1.0))
    for seed in range(5):
        a, b = straight[0, seed], mirrored[0, seed]
        assert torch.equal(a.frames.flip(-1), b.frames)
        assert torch.equal(a.masks.flip(-1), b.masks)
    half = ClipDataset(block, dataclasses.replace(PLAIN, flip=0.5))
    flips = [torch.equal(half[0, s].frames, mirrored[0, s].frames) for s in range(200)]
    assert 70 < sum(flips) < 130


def test_a_crop_is_a_part_of_the_frame_and_of_its_masks(block):
    """Frames of 40 x 56, cut at twice that size; a part that is not resized is there pixel for pixel."""
    crop = Crop(probability=0.5, short_sides=(80,), sides=(20, 60))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (2, 40, 56, 3), np.uint8)
    drawn = [crop.draw(rng, 40, 56) for _ in range(300)]
    parts = [part for part in drawn if part is not None]
    assert 120 < len(parts) < 180
    for rows, columns in parts:
        assert 0 <= rows.start < rows.stop <= 40
        assert 0 <= columns.start < columns.stop <= 56
        view = View(rows.stop - rows.start, columns.stop - columns.start, cut=(rows, columns))
        assert np.array_equal(view.frames(picture), picture[:, rows, columns])
        assert np.array_equal(view.masks(picture[..., 0]), picture[:, rows, columns, 0])
    heights = [rows.stop - rows.start for rows, _ in parts]
    assert (min(heights), max(heights)) == (10, 30)
    dataset = ClipDataset(block, dataclasses.replace(PLAIN, crop=crop))
    samples = [dataset[0, seed] for seed in range(20)]
    assert len({sample.frames.shape for sample in samples}) > 5
    for sample in samples:  # bilinear and nearest neighbour round the same border
        for mask in sample.masks:
            assert ((sample.frames[:, 0] > 128) != mask).float().mean() < 0.08


def test_short_sides_are_all_used_and_the_long_side_is_bounded(block):
    how = dataclasses.replace(PLAIN, short_sides=(20, 30, 50), max_size=60)
    dataset = ClipDataset(block, how)
    sizes = {tuple(dataset[0, seed].frames.shape[-2:]) for seed in range(40)}
    assert sizes == {(20, 28), (30, 42), (43, 60)}


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 800), st.integers(1, 1400))
def test_resized_keeps_the_bounds_and_the_aspect(height, width, short_side, max_size):
    new = resized(height, width, short_side, max_size)
    assert max(new) <= max(max_size, 1)
    assert min(new) <= short_side
    scale = max(new) / max(height, width)
    assert abs(min(new) - max(1, min(height, width) * scale)) <= 0.51 + min(height, width) / max(height, width)


def test_nearest_neighbour_takes_the_pixel_under_the_centre():
    row = np.arange(8, dtype=np.uint8)[None, None]
    assert View(1, 4).masks(row).ravel().tolist() in ([1, 3, 5, 7], [0, 2, 4, 6])
    third = np.arange(9, dtype=np.uint8)[None, None]
    assert View(1, 3).masks(third).ravel().tolist() == [1, 4, 7]  # plain INTER_NEAREST: 0, 3, 6


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_videos_repeat_frames(tmp_path, length):
    video, masks = write_video(tmp_path, 1, length)
    dataset = ClipDataset(video_set((video, [track(1, 1, 4, masks)])), dataclasses.replace(PLAIN, num_frames=4))
    for seed in range(10):
        times = times_of(dataset[0, seed])
        assert len(times) == 4
        assert times == sorted(times)
        assert set(times) == set(range(length))  # each is shown before one is shown again


def test_single_frame_clips(block):
    sample = ClipDataset(block, dataclasses.replace(PLAIN, num_frames=1))[0, 3]
    assert sample.frames.shape == (1, 3, 40, 56)
    assert sample.masks.shape == (1, 1, 40, 56)


def test_labels_come_from_the_track_and_absent_tracks_are_left_out(tmp_path):
    video, masks = write_video(tmp_path, 1, 6)
    early = [m if t < 3 else None for t, m in enumerate(masks)]
    late = [m if t >= 3 else None for t, m in enumerate(masks)]
    dataset = ClipDataset(video_set((video, [track(1, 1, 9, early), track(2, 1, 4, late)])), PLAIN)
    kinds = set()
    for seed in range(60):
        sample = dataset[0, seed]
        times = times_of(sample)
        expected = [9] * any(t < 3 for t in times) + [4] * any(t >= 3 for t in times)
        assert sample.category_ids.tolist() == expected
        for category, mask in zip(expected, sample.masks, strict=True):
            seen = [(t < 3) == (category == 9) for t in times]
            assert mask.flatten(1).any(1).tolist() == seen  # all False where absent
        kinds.add(tuple(expected))
    assert kinds == {(9,), (4,), (9, 4)}


def test_identities_count_the_tracks_that_are_targets(tmp_path):
    """Through the videos that are shown, without crowds; a batch keeps them, and what is no track of the set has -1."""
    (a, masks), (b, _), (c, _) = (write_video(tmp_path, number, 4) for number in (1, 2, 3))
    late = [None, None, None, masks[3]]
    videos = video_set(
        (a, [track(11, 1, 4, masks), track(12, 1, 4, masks, iscrowd=True), track(13, 1, 9, late)]),
        (b, []),
        (c, [track(14, 3, 9, masks), track(15, 3, 4, masks)]),
    )
    dataset = ClipDataset(videos, PLAIN)
    assert len(dataset) == 2
    shown = [dataset[0, seed].identities.tolist() for seed in range(20)]
    assert {tuple(found) for found in shown} == {(0,), (0, 1)}
    assert dataset[1, 0].identities.tolist() == [2, 3]
    batch = collate([dataset[0, 0], dataset[1, 0]]).to("cpu")
    assert [target.identities.tolist() for target in batch.targets] == [shown[0], [2, 3]]
    whole = torch.ones(1, 2, *batch.frames.shape[-2:])
    proposed = [ProposedTracks(torch.tensor([[0.9]]), whole), ProposedTracks(torch.zeros(0, 1), whole[:0])]
    labelled = with_pseudo_labels(batch, proposed, [4])
    assert [target.identities.tolist() for target in labelled.targets] == [[*shown[0], -1], [2, 3]]


def test_the_reference_frame_shows_a_track(tmp_path):
    video, masks = write_video(tmp_path, 1, 10)
    rare = [m if t == 7 else None for t, m in enumerate(masks)]
    dataset = ClipDataset(video_set((video, [track(1, 1, 4, rare)])), PLAIN)
    assert all(7 in times_of(dataset[0, seed]) for seed in range(30))


def test_a_mask_lost_in_resizing_is_no_target(tmp_path):
    video, masks = write_video(tmp_path, 1, 2)
    dot = np.zeros((40, 56), np.uint8)
    dot[0, 0] = 1
    dataset = ClipDataset(
        video_set((video, [track(1, 1, 9, [dot, dot]), track(2, 1, 4, masks)])),
        dataclasses.replace(PLAIN, short_sides=(10,)),
    )
    assert dataset[0, 0].category_ids.tolist() == [4]


def test_no_object_tracks_keep_an_empty_mask_where_they_are_present(tmp_path):
    video, masks = write_video(tmp_path, 1, 8)
    zeros = [np.zeros_like(m) if t < 2 else None for t, m in enumerate(masks)]
    dataset = ClipDataset(video_set((video, [track(1, 1, NO_OBJECT, zeros), track(2, 1, 4, masks)])), PLAIN)
    kinds = set()
    for seed in range(40):
        sample = dataset[0, seed]
        present = any(t < 2 for t in times_of(sample))
        assert sample.category_ids.tolist() == [NO_OBJECT] * present + [4]
        if present:
            assert not sample.masks[0].any()
        assert sample.masks[-1].any()
        kinds.add(present)
    assert kinds == {True, False}


def test_no_object_tracks_do_not_choose_the_reference_frame(tmp_path):
    video, masks = write_video(tmp_path, 1, 10)
    rare = [m if t == 7 else None for t, m in enumerate(masks)]
    nothing = track(1, 1, NO_OBJECT, [np.zeros_like(m) for m in masks])
    mixed = ClipDataset(video_set((video, [nothing, track(2, 1, 4, rare)])), PLAIN)
    assert all(7 in times_of(mixed[0, seed]) for seed in range(30))
    alone = ClipDataset(video_set((video, [nothing])), PLAIN)
    assert {t for seed in range(60) for t in times_of(alone[0, seed])} == set(range(10))
    assert alone[0, 0].category_ids.tolist() == [NO_OBJECT]


def test_videos_without_targets_never_enter(tmp_path):
    shown, masks = write_video(tmp_path, 1, 3)
    empty, _ = write_video(tmp_path, 2, 3)
    crowd, crowd_masks = write_video(tmp_path, 3, 3)
    nowhere, _ = write_video(tmp_path, 4, 3)
    others = [
        (empty, []),
        (crowd, [track(5, 3, 4, crowd_masks, iscrowd=True)]),
        (nowhere, [track(6, 4, 4, [None] * 3)]),
    ]
    both = [track(1, 1, 4, masks), track(2, 1, 9, masks, iscrowd=True)]
    dataset = ClipDataset(video_set(*others, (shown, both)), PLAIN)
    assert len(dataset) == 1
    assert dataset[0, 0].name.startswith("v1[")
    assert dataset[0, 0].category_ids.tolist() == [4]
    with pytest.raises(UserError, match="none of the 3 videos has a visible track"):
        ClipDataset(video_set(*others), PLAIN)


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_frames", 0), ("frame_range", 0), ("short_sides", ()), ("max_size", 0), ("flip", 1.5)],
)
def test_sampling_names_the_bad_field(field, value):
    with pytest.raises(UserError, match=f"clip sampling: {field}: "):
        ClipSampling(**{field: value})
    for field, value in (("probability", 2.0), ("short_sides", ()), ("sides", (600, 384))):
        with pytest.raises(UserError, match=f"clip sampling: crop.{field}: "):
            Crop(**{field: value})
