"""Deformable attention equals mmcv's reference function and a plain loop."""

import pytest
import torch

from cvis.segmenters.mask2former import deformable
from cvis.segmenters.mask2former.deformable import (
    DeformableAttention,
    deformable_attention,
    deformable_attention_gather,
    deformable_attention_torch,
)
from cvis.segmenters.openmmlab import MultiScaleDeformableAttention

SHAPES = [(3, 5), (6, 10), (1, 1)]


def random_inputs(dtype=torch.float64, batch=2, queries=7, heads=3, channels=4, points=2):
    positions = sum(height * width for height, width in SHAPES)
    value = torch.randn(batch, positions, heads, channels, dtype=dtype, requires_grad=True)
    # some points outside
    locations = torch.rand(batch, queries, heads, len(SHAPES), points, 2, dtype=dtype) * 1.6 - 0.3
    weights = torch.rand(batch, queries, heads, len(SHAPES), points, dtype=dtype)
    return value, locations.requires_grad_(), weights.requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_equals_mmcv(dtype):
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    inputs = random_inputs(dtype)
    ours = deformable_attention(inputs[0], SHAPES, *inputs[1:])
    theirs = multi_scale_deformable_attn_pytorch(inputs[0], torch.tensor(SHAPES), *inputs[1:])
    tolerance = dict(rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-5)
    torch.testing.assert_close(ours, theirs, **tolerance)
    for mine, other in zip(
        torch.autograd.grad(ours.sin().sum(), inputs), torch.autograd.grad(theirs.sin().sum(), inputs), strict=True
    ):
        torch.testing.assert_close(mine, other, **tolerance)


@pytest.mark.parametrize("without_gradients", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_gathering_is_chosen_without_gradients_and_equals_sampling(without_gradients, dtype, atol, monkeypatch):
    monkeypatch.setattr(deformable, "LARGE", 0)
    inputs = random_inputs(dtype)
    sampled = deformable_attention(inputs[0], SHAPES, *inputs[1:])
    with without_gradients():
        gathered = deformable_attention(inputs[0], SHAPES, *inputs[1:])
        assert torch.equal(gathered, deformable_attention_gather(inputs[0], SHAPES, *inputs[1:]))
    torch.testing.assert_close(gathered, sampled.detach(), rtol=0, atol=atol)


@pytest.mark.parametrize("edge", [-1e30, -1.0, 0.0, 1 / 3, 0.5, 0.9, 1.0, 1.1, 4 / 3, 2.0, 1e30, float("nan")])
def test_gathering_equals_sampling_at_edges_and_far_outside(edge):
    value, locations, weights = (tensor.detach() for tensor in random_inputs())
    for axis in (0, 1):
        there = locations.clone()
        there[..., axis] = edge
        gathered = deformable_attention_gather(value, SHAPES, there, weights)
        sampled = deformable_attention_torch(value, SHAPES, there, weights)
        torch.testing.assert_close(gathered, sampled, rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(("batch", "queries"), [(0, 7), (2, 0)])
def test_gathering_nothing_is_no_error(batch, queries):
    inputs = [tensor.detach() for tensor in random_inputs(batch=batch, queries=queries)]
    assert deformable_attention_gather(inputs[0], SHAPES, *inputs[1:]).shape == (batch, queries, 12)


def test_gathering_takes_weights_of_another_type():
    value, locations, weights = (tensor.detach() for tensor in random_inputs(torch.float32))
    gathered = deformable_attention_gather(value, SHAPES, locations, weights.bfloat16())
    sampled = deformable_attention_torch(value, SHAPES, locations, weights.bfloat16())
    torch.testing.assert_close(gathered, sampled, rtol=0, atol=2e-6)


def test_equals_a_loop():
    value, locations, weights = random_inputs(batch=1, queries=2, heads=2, channels=1, points=1)
    ours = deformable_attention(value, SHAPES, locations, weights)
    for query in range(2):
        for head in range(2):
            expected, start = 0.0, 0
            for level, (height, width) in enumerate(SHAPES):
                x, y = (locations[0, query, head, level, 0] * torch.tensor([width, height]) - 0.5).tolist()
                for row in range(height):
                    for column in range(width):
                        near = max(0.0, 1 - abs(row - y)) * max(0.0, 1 - abs(column - x))
                        entry = value[0, start + row * width + column, head, 0].item()
                        expected += weights[0, query, head, level, 0].item() * near * entry
                start += height * width
            assert ours[0, query, head].item() == pytest.approx(expected, abs=1e-12)


def test_module_equals_mmcv():
    """Same parameters, same result, also with another number of heads than levels."""
    keys = dict(embed_dims=16, num_heads=4, num_levels=3, num_points=2, dropout=0.0, batch_first=True)
    ours, theirs = DeformableAttention(**keys), MultiScaleDeformableAttention(**keys)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    positions = sum(height * width for height, width in SHAPES)
    query, position = torch.randn(2, positions, 16), torch.randn(1, positions, 16)
    reference = torch.rand(1, positions, 3, 2)
    mine = ours(query, position, reference, SHAPES)
    other = theirs(
        query,
        query_pos=position.expand(2, -1, -1),
        reference_points=reference.expand(2, -1, -1, -1),
        spatial_shapes=torch.tensor(SHAPES),
        level_start_index=torch.tensor([0, 15, 75]),
    )
    torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
