"""Masks to run-length code: the borders of their runs, found by torch, are pycocotools' code of the pixels."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from cvis.segmenters import encoding
from cvis.segmenters.encoding import borders, encode_masks, from_borders


def by_borders(masks):
    mask, place = (found.numpy() for found in borders(masks))
    return from_borders(mask, place, len(masks), masks.shape[1:])


def by_pixels(masks):
    codes = [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks.numpy()]
    return [code if mask.any() else None for code, mask in zip(codes, masks, strict=True)]


@settings(max_examples=60)
@given(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**20))
def test_codes_are_pycocotools_own(count, height, width, share, seed):
    masks = torch.rand(count, height, width, generator=torch.Generator().manual_seed(seed)) < share
    assert by_borders(masks) == encode_masks(masks) == by_pixels(masks)


def test_runs_of_any_length_are_written_alike():
    masks = torch.zeros(4, 720, 1280, dtype=torch.bool)
    masks[1] = True  # one run of all pixels
    masks[2, 100:700, 1:1279] = True
    masks[3, ::2, ::3] = True  # runs of one pixel
    assert by_borders(masks) == by_pixels(masks)


def test_what_is_not_on_the_host_is_encoded_by_its_borders(monkeypatch):
    """A tensor of another device, as far as can be told without one."""
    masks, asked = torch.rand(2, 5, 4) < 0.5, []
    monkeypatch.setattr(encoding, "encode", None)  # it reads pixels of the host

    class Elsewhere:
        device = torch.device("cuda")
        shape = masks.shape

        def __len__(self):
            return len(masks)

    def found(given):
        asked.append(given)
        return borders(masks)

    monkeypatch.setattr(encoding, "borders", found)
    assert encode_masks(there := Elsewhere()) == by_pixels(masks)
    assert asked == [there]
