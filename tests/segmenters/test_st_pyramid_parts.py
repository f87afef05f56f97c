"""Attention, squeezing and expanding, against plain statements in double precision."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cvis.errors import UserError
from cvis.segmenters.fpn import FPN
from cvis.segmenters.st_pyramid.attention import CBAM3D
from cvis.segmenters.st_pyramid.lovasz import lovasz_hinge
from cvis.segmenters.st_pyramid.pixels import coordinates, gaussian
from cvis.segmenters.st_pyramid.pyramid import SpaceTimePyramid, squeeze


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@torch.no_grad()
def test_cbam_is_its_two_equations():
    block = CBAM3D(6, reduction=3, kernel=3).double()
    features = torch.randn(2, 6, 3, 4, 5, dtype=torch.float64)
    w0, w1 = (block.mlp[index].weight.numpy() for index in (0, 2))
    assert w0.shape == (2, 6)
    kernel = block.conv.weight.numpy()[0]
    for given_, found in zip(features.numpy(), block(features).numpy(), strict=True):
        perceptron = lambda v: w1 @ np.maximum(w0 @ v, 0)  # noqa: E731
        flat = given_.reshape(6, -1)
        refined = sigmoid(perceptron(flat.mean(1)) + perceptron(flat.max(1)))[:, None, None, None] * given_
        seen = np.pad(np.stack([refined.mean(0), refined.max(0)]), ((0, 0), (1, 1), (1, 1), (1, 1)))
        for t, y, x in itertools.product(range(3), range(4), range(5)):
            place = sigmoid((kernel * seen[:, t : t + 3, y : y + 3, x : x + 3]).sum())
            np.testing.assert_allclose(found[:, t, y, x], place * refined[:, t, y, x], rtol=1e-12)


@torch.no_grad()
def test_a_squeeze_halves_the_time_and_means_over_neighbours():
    block = squeeze(3, 8, "GN").double()
    features = torch.randn(1, 3, 5, 2, 2, dtype=torch.float64)
    before = block[:3](features)
    means = [before[:, :, slice(max(0, t - 1), t + 2)].mean(2) for t in (0, 2, 4)]
    torch.testing.assert_close(block(features), torch.stack(means, 2))


@torch.no_grad()
def test_scales_of_a_clip_are_t_4_t_2_and_t():
    """As the paper's figure has it; and shorter clips, down to one frame, come out as long as they went in."""
    pyramid = SpaceTimePyramid(4, widths=(32, 32, 16, 16), norm="BN").eval()
    seen = []
    for encoder in pyramid.encoders:
        encoder.register_forward_hook(lambda _module, _input, output: seen.append(output.shape))
    for frames, wanted in ((8, [2, 2, 4, 8]), (5, [2, 2, 3, 5]), (1, [1, 1, 1, 1])):
        seen.clear()
        maps = [torch.randn(1, 4, frames, 16 // 2**level, 24 // 2**level) for level in range(4)]
        assert pyramid(maps).shape == (1, 16, frames, 16, 24)
        assert [shape[2] for shape in seen] == wanted
        assert [shape[1] for shape in seen] == [32, 32, 16, 16]
    with pytest.raises(UserError, match=r"segmenter\.pyramid\.squeezes: \(1,\): must be 4 numbers"):
        SpaceTimePyramid(4, squeezes=(1,))
    with pytest.raises(UserError, match=r"segmenter\.pyramid\.norm: 'LN': unknown; use BN or GN"):
        SpaceTimePyramid(4, norm="LN")


@torch.no_grad()
def test_expanding_and_combining():
    """One pixel, two scales: the coarse one is repeated in time, both are joined and weighed."""
    pyramid = SpaceTimePyramid(3, widths=(8, 16), squeezes=(1, 0), norm="GN").double()
    maps = [torch.randn(1, 3, 2, 1, 1, dtype=torch.float64) for _ in range(2)]
    coarse, fine = pyramid.encoders[0](maps[1]), pyramid.encoders[1](maps[0])
    weight, bias = pyramid.combine[0].weight[:, :, 0, 0, 0], pyramid.combine[0].bias
    for t in range(2):
        wanted = weight @ torch.cat([coarse[0, :, 0, 0, 0], fine[0, :, t, 0, 0]]) + bias
        torch.testing.assert_close(pyramid(maps)[0, :, t, 0, 0], wanted)


@torch.no_grad()
def test_the_feature_pyramid_adds_what_is_coarser():
    fpn = FPN((2, 3), 4).double()
    fine, coarse = torch.randn(1, 2, 4, 6, dtype=torch.float64), torch.randn(1, 3, 2, 3, dtype=torch.float64)
    lateral = [conv(level) for conv, level in zip(fpn.laterals, (fine, coarse), strict=True)]
    summed = lateral[0] + lateral[1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    for found, wanted, conv in zip(fpn((fine, coarse)), (summed, lateral[1]), fpn.outputs, strict=True):
        torch.testing.assert_close(found, conv(wanted))


def jaccard_loss(wrong, wanted):
    """1 - IoU of the mask that is ``wanted`` but for the pixels in ``wrong``."""
    mask = {*range(len(wanted))} & ({i for i, inside in enumerate(wanted) if inside} ^ wrong)
    inside = {i for i, value in enumerate(wanted) if value}
    return 1 - len(mask & inside) / len(mask | inside)


def lovasz_by_definition(scores, wanted):
    errors = [1 - s * (1 if inside else -1) for s, inside in zip(scores, wanted, strict=True)]
    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    total, wrong, before = 0.0, set(), 0.0
    for index in order:
        wrong.add(index)
        after = jaccard_loss(wrong, wanted)
        total += max(0.0, errors[index]) * (after - before)
        before = after
    return total


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_lovasz_hinge_is_its_definition(data):
    size = data.draw(st.integers(1, 9))
    score = st.floats(-2, 2, allow_subnormal=False)
    scores = [data.draw(st.lists(score, min_size=size, max_size=size)) for _ in range(2)]
    wanted = [data.draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(any)) for _ in range(2)]
    found = lovasz_hinge(torch.tensor(scores, dtype=torch.float64), torch.tensor(wanted))
    assert found.tolist() == pytest.approx([lovasz_by_definition(*row) for row in zip(scores, wanted, strict=True)])


def test_lovasz_hinge_of_a_hard_mask_is_its_jaccard_loss_and_its_gradient_is_right():
    """Scores of +-1 are errors of 0 or 2: twice the loss of the mask itself."""
    wanted = torch.tensor([[1, 1, 1, 0, 0, 0]])
    hard = torch.tensor([[1.0, -1.0, 1.0, 1.0, -1.0, -1.0]])
    assert lovasz_hinge(hard, wanted).item() == pytest.approx(2 * (1 - 2 / 4))
    assert lovasz_hinge(wanted * 2.0 - 1, wanted).item() == 0
    torch.manual_seed(0)
    scores = torch.randn(3, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: lovasz_hinge(s, torch.arange(12).expand(3, -1) % 3 == 0), scores)


def test_gaussian_and_coordinates():
    embeddings = torch.tensor([[0.0, 1.0], [0.0, 2.0]], dtype=torch.float64)  # two pixels
    mean = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    variance = torch.tensor([[1.0, 4.0], [0.25, 1.0]], dtype=torch.float64)
    plain = [[1, np.exp(-0.5 * (1 + 1))], [np.exp(-0.5 * (4 + 1)), np.exp(-0.5)]]
    np.testing.assert_allclose(gaussian(embeddings, mean, variance), plain)
    density = gaussian(embeddings, mean, variance, normalised=True)
    for row, (found, wanted) in enumerate(zip(density, plain, strict=True)):
        peak = 1 / (2 * np.pi * variance[row].prod().sqrt().item())
        np.testing.assert_allclose(found, np.array(wanted) * peak)
    four = torch.zeros(4, 1, dtype=torch.float64)
    peaks = [gaussian(four, four.T, torch.full((1, 4), v**2, dtype=torch.float64), True).item() for v in (0.05, 1)]
    assert peaks == pytest.approx([4052.85, 0.02533], rel=1e-3)
    grid = coordinates((2, 2, 3), 4, 8.0, four)
    assert grid.tolist() == [2 * [0.25, 0.25, 0.25, 0.75, 0.75, 0.75], 4 * [0.25, 0.75, 1.25]]
