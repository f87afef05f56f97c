"""deformops' kernels are used where they answer as torch does, and only there."""

import logging

import pytest
import torch

from cvis.segmenters.mask2former import deformable, fused
from cvis.segmenters.mask2former.deformable import deformable_attention, deformable_attention_torch
from cvis.segmenters.mask2former.fused import TOLERANCE, fused_attention, is_fused, problem, trial

SIZES = (8, 32, 3, 4)  # heads, channels, levels, points


class NoNumber(torch.autograd.Function):
    """A kernel whose answer is right and whose gradient overflows."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * torch.nan


def test_deformops_answers_as_torch_does():
    """On a CPU its own torch code: arguments and rules are those of its kernels."""
    pytest.importorskip("deformops")
    assert trial(fused_attention, deformable_attention_torch, torch.device("cpu"), *SIZES) < TOLERANCE / 10
    value, locations, weights = torch.rand(1, 6, 8, 32), torch.rand(1, 5, 8, 1, 4, 2), torch.rand(1, 5, 8, 1, 4)
    mixed = fused_attention(value.bfloat16(), [[2, 3]], locations, weights.bfloat16())
    plain = deformable_attention_torch(value, [(2, 3)], locations, weights)
    torch.testing.assert_close(mixed.float(), plain, atol=0.05, rtol=0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda value, shapes, locations, weights: deformable_attention_torch(
            value, shapes, locations.flip(-1), weights
        ),
        lambda value, shapes, locations, weights: deformable_attention_torch(
            value, shapes, locations.clamp(0, 1), weights
        ),
        lambda value, shapes, locations, weights: (
            deformable_attention_torch(value, shapes, locations.detach(), weights) + 0 * locations.sum()
        ),
        lambda value, shapes, locations, weights: deformable_attention_torch(
            value, shapes, locations, NoNumber.apply(weights)
        ),
    ],
    ids=["x and y exchanged", "the border repeated", "no gradient of locations", "a gradient that is no number"],
)
def test_the_trial_finds_what_is_wrong(wrong):
    assert not trial(wrong, deformable_attention_torch, torch.device("cpu"), *SIZES) < 100 * TOLERANCE


def test_the_trial_changes_no_draw_and_serves_in_inference_mode():
    before = torch.get_rng_state()
    with torch.inference_mode():
        assert trial(deformable_attention_torch, deformable_attention_torch, torch.device("cpu"), *SIZES) == 0
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def installed(monkeypatch):
    """As if the package were there; its function is what a test puts in its place."""
    monkeypatch.setitem(__import__("sys").modules, "deformops", object())
    problem.cache_clear()
    yield monkeypatch
    problem.cache_clear()


def ask() -> str | None:
    return problem(torch.device("cpu"), *SIZES, deformable_attention_torch)


def test_a_kernel_that_answers_alike_is_used(installed):
    installed.setattr(fused, "fused_attention", deformable_attention_torch)
    assert ask() is None


def test_a_kernel_that_fails_or_errs_is_not_used_and_that_is_said_once(installed, caplog):
    def fails(*inputs):
        raise RuntimeError("ptxas: no such architecture\nmore lines")

    installed.setattr(fused, "fused_attention", fails)
    with caplog.at_level(logging.WARNING, logger="cvis"):
        assert ask() == ask() == "RuntimeError: ptxas: no such architecture"
    assert [record.getMessage() for record in caplog.records] == [
        "deformops: RuntimeError: ptxas: no such architecture; deformable attention stays with torch, which is slower"
    ]
    problem.cache_clear()
    installed.setattr(fused, "fused_attention", lambda *inputs: 2 * deformable_attention_torch(*inputs))
    assert ask().startswith("another answer than torch's, by ")


def test_without_the_package_nothing_is_said(monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "deformops", None)  # as if it were not installed
    problem.cache_clear()
    assert "cvis[gpu]" in ask()
    assert not caplog.records
    problem.cache_clear()


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


def test_it_is_asked_on_a_gpu_alone(installed):
    installed.setattr(fused, "fused_attention", deformable_attention_torch)
    value, locations = torch.rand(1, 6, 8, 32), torch.rand(1, 5, 8, 3, 4, 2)
    assert not is_fused(value, locations, deformable_attention_torch)
    assert is_fused(value.as_subclass(OnGpu), locations, deformable_attention_torch)


def test_deformable_attention_goes_through_it(monkeypatch):
    monkeypatch.setattr(deformable, "is_fused", lambda *asked: True)
    monkeypatch.setattr(deformable, "fused_attention", lambda *inputs: "fused")
    assert deformable_attention(torch.rand(1, 6, 8, 32), [(2, 3)], torch.rand(1, 5, 8, 1, 4, 2), None) == "fused"
