"""Equations 4 to 6 against loops over pairs, and what extreme queries do to them."""

import math

import pytest
import torch

from cvis.errors import UserError
from cvis.learners.crisp_parts.correlation import correlation_loss, correlation_target, cosines


def cosine(a, b):
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(float(x) ** 2 for x in a) * sum(float(y) ** 2 for y in b))


def plain_loss(layers, target):
    total = 0.0
    for layer in layers:
        batch, count, _ = layer.shape
        errors = [
            (cosine(layer[b, i], layer[b, j]) - float(target[i, j])) ** 2
            for b in range(batch)
            for i in range(count)
            for j in range(count)
        ]
        total += sum(errors) / (batch * count * count)
    return total


@pytest.mark.parametrize("kind", ["first_block", "identity"])
def test_equation_6_is_a_loop_over_pairs_summed_over_layers(kind):
    torch.manual_seed(0)
    base = torch.randn(9, 7)
    layers = [torch.randn(3, 4, 7) for _ in range(4)]
    target = correlation_target(base, 4, kind)
    named = [[cosine(base[i], base[j]) if kind == "first_block" else float(i == j) for j in range(4)] for i in range(4)]
    torch.testing.assert_close(target, torch.tensor(named))
    assert float(correlation_loss(layers, target)) == pytest.approx(plain_loss(layers, target), rel=1e-5)


def test_it_is_zero_for_queries_that_are_alike_as_the_base_queries_are_and_only_then():
    torch.manual_seed(0)
    base = torch.randn(6, 5)
    target = correlation_target(base, 3)
    turned = torch.linalg.qr(torch.randn(5, 5)).Q
    rotated = (4 * base[:3] @ turned)[None]  # lengths and a common rotation do not matter
    assert float(correlation_loss([rotated], target)) == pytest.approx(0, abs=1e-10)
    assert float(correlation_loss([rotated.flip(1)], target)) > 0.01


def test_the_layers_learn_and_the_target_does_not():
    base = torch.nn.Parameter(torch.randn(6, 5))
    layers = [torch.randn(2, 4, 5, requires_grad=True) for _ in range(2)]
    assert not correlation_target(base, 4).requires_grad
    correlation_loss(layers, cosines(base[:4])).backward()
    assert all(layer.grad.abs().sum() > 0 for layer in layers)
    assert base.grad is None


def test_the_gradient_is_that_of_the_cosine():
    """The scaling by the largest entry is not differentiated: a cosine does not depend on length."""
    layer = torch.randn(1, 3, 4, requires_grad=True)
    target = torch.eye(3)
    correlation_loss([layer], target).backward()
    plain = layer.detach().double().requires_grad_()
    unit = plain / plain.norm(dim=-1, keepdim=True)
    (unit @ unit.mT - target).square().mean().backward()
    torch.testing.assert_close(layer.grad, plain.grad.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-8, 1e4, 1e18, 1e38])
def test_extreme_queries_give_finite_losses_and_gradients(size):
    torch.manual_seed(0)
    layer = torch.rand(1, 4, 8).add(0.1).mul(size).requires_grad_()
    loss = correlation_loss([layer], torch.eye(4))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(layer.grad).all()
    if size >= 1:
        assert float(cosines(layer.detach())[0].diagonal().min()) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_it_is_computed_in_float32(dtype):
    torch.manual_seed(0)
    layer = (torch.randn(1, 4, 64) * 3e4).clamp(-6e4, 6e4).to(dtype)  # squares overflow float16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = correlation_loss([layer], torch.eye(4))
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(plain_loss([layer], torch.eye(4)), rel=1e-5)


@pytest.mark.parametrize(
    ("prompts", "kind", "message"),
    [
        (7, "first_block", "learner.ic_target: 'first_block': 7 prompts need as many base queries, there are 6"),
    ],
)
def test_what_is_not_possible_is_said_in_one_line(prompts, kind, message):
    with pytest.raises(UserError, match=message) as caught:
        correlation_target(torch.randn(6, 5), prompts, kind)
    assert "\n" not in str(caught.value)
    assert correlation_target(torch.randn(6, 5), 7, "identity").shape == (7, 7)
