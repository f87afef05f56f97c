import dataclasses
import pickle

import pytest
import torch
from moving_block import PLAIN, track, video_set, write_video

from cvis.data.clips import ClipDataset, collate, make_loader
from cvis.data.sampler import ClipSampler
from cvis.types import NO_OBJECT


def test_collate_pads_at_the_right_and_bottom(block):
    samples = [ClipDataset(block, dataclasses.replace(PLAIN, short_sides=(s,)))[0, 1] for s in (40, 20)]
    tall = dataclasses.replace(
        samples[1],
        frames=torch.full((2, 3, 45, 20), 7, dtype=torch.uint8),
        masks=torch.ones((2, 2, 45, 20), dtype=torch.bool),
        category_ids=torch.tensor([9, NO_OBJECT]),
    )
    clip = collate([samples[0], tall])
    assert clip.frames.shape == (2, 2, 3, 45, 56)
    assert clip.sizes.tolist() == [[40, 56], [45, 20]]
    assert torch.equal(clip.frames[0, ..., :40, :], samples[0].frames)
    assert torch.equal(clip.frames[1, ..., :20], tall.frames)
    assert clip.frames[0, ..., 40:, :].max() == 0
    assert clip.frames[1, ..., 20:].max() == 0
    assert [t.masks.shape for t in clip.targets] == [(1, 2, 45, 56), (2, 2, 45, 56)]
    assert clip.targets[1].masks.sum() == 2 * 2 * 45 * 20
    assert torch.equal(clip.targets[0].masks[..., :40, :], samples[0].masks)
    assert clip.names == (samples[0].name, tall.name)
    assert clip.targets[1].category_ids.tolist() == [9, NO_OBJECT]


def test_the_number_of_workers_changes_nothing(tmp_path):
    sets = []
    for video_id in (1, 2, 3):
        video, masks = write_video(tmp_path, video_id, 6)
        sets.append((video, [track(video_id, video_id, 4, masks)]))
    how = dataclasses.replace(PLAIN, short_sides=(30, 40), flip=0.5)
    state = torch.get_rng_state()
    dataset = ClipDataset(video_set(*sets), how)
    alone, helped = (list(make_loader(dataset, ClipSampler(3, 2, 4, 5), workers)) for workers in (0, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert len(alone) == len(helped) == 4
    for a, b in zip(alone, helped, strict=True):
        assert a.names == b.names
        assert torch.equal(a.frames, b.frames)
        assert all(torch.equal(x.masks, y.masks) for x, y in zip(a.targets, b.targets, strict=True))


def test_the_sampler_must_count_the_same_videos(block):
    with pytest.raises(ValueError, match="counts 2 videos, the clips come from 1"):
        make_loader(ClipDataset(block, PLAIN), ClipSampler(2, 2, 4, 0))


def test_values_travel_between_processes(block):
    clip = collate([ClipDataset(block, PLAIN)[0, 1]])
    copy = pickle.loads(pickle.dumps(clip))
    assert torch.equal(copy.frames, clip.frames)
