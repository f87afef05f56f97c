"""Every loss between an old and a new model against a plain loop in float64, and its gradient against differences."""

import itertools
import math

import plain_distillation as plain
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cvis.learners.balconpas import replay_cross_entropy
from cvis.learners.combo import half_learning_half_distillation
from cvis.learners.distill import (
    adaptive_mean,
    feature_distance,
    mask_distillation,
    softmax_focal,
    unbiased_cross_entropy,
    unbiased_distillation,
)
from cvis.learners.distill.losses import kl, weighted_mean
from cvis.learners.mib import _plain

BATCH, QUERIES = 2, 3
CASES = st.tuples(st.integers(0, 3), st.integers(1, 3), st.floats(0.1, 12.0), st.integers(0, 2**31))
"""Old classes, new classes, spread of the logits, seed."""


def draw(case):
    """Logits [B, Q, K+1], those of the old model [B, Q, o+1], and target columns [B, Q], no-object among them."""
    num_old, num_new, spread, seed = case
    generator = torch.Generator().manual_seed(seed)
    width = num_old + num_new + 1
    logits = spread * torch.randn(BATCH, QUERIES, width, dtype=torch.float64, generator=generator)
    old = spread * torch.randn(BATCH, QUERIES, num_old + 1, dtype=torch.float64, generator=generator)
    columns = torch.randint(0, width, (BATCH, QUERIES), generator=generator)
    columns[0, 0], columns[1, 0] = width - 1, num_old  # both kinds are there
    return logits, old, columns


def rows(values):
    return values.flatten(0, 1).tolist()


def close(tensor, number):
    assert tensor.item() == pytest.approx(number, rel=1e-10, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(CASES, st.sampled_from([0.1, 1.0]))
def test_cross_entropies(case, weight):
    logits, _, columns = draw(case)
    ids = columns.flatten().tolist()
    p = [plain.probabilities(row) for row in rows(logits)]
    hidden = [plain.unbiased(row, case[0]) for row in rows(logits)]
    close(unbiased_cross_entropy(logits, columns, weight, case[0]), plain.weighted_nll(hidden, ids, weight))
    close(unbiased_cross_entropy(logits, columns, weight, case[0], focal=True), plain.focal(hidden, ids))
    close(softmax_focal(logits, columns, weight), plain.focal(p, ids))


@settings(max_examples=25, deadline=None)
@given(CASES)
def test_distillation_of_probabilities(case):
    logits, old, _ = draw(case)
    pairs = list(zip(rows(logits), rows(old), strict=True))
    kept = unbiased_distillation(logits, old)
    assert kept.shape == (BATCH, QUERIES)
    expected = [plain.unbiased_divergence(*pair) for pair in pairs]
    for value, number in zip(kept.flatten(), expected, strict=True):
        close(value, number)
    for value, pair in zip(_plain(logits, old).flatten(), pairs, strict=True):
        close(value, plain.restricted_divergence(*pair))
    if case[0]:  # without old classes no query sees an old object
        close(adaptive_mean(kept, old), plain.adaptive(expected, rows(old)))


@settings(max_examples=25, deadline=None)
@given(CASES, st.sampled_from(["both", "matched", "others"]))
def test_half_learning_half_distillation(case, kinds):
    """2 CE + 5 KL by default, each a mean of its own; one of them may have no query."""
    logits, old, columns = draw(case)
    if kinds != "both":
        columns = torch.full_like(columns, 0 if kinds == "matched" else logits.shape[-1] - 1)
    queries = rows(logits), columns.flatten().tolist(), rows(old)
    close(half_learning_half_distillation(logits, columns, 0.1, old), plain.half_half(*queries, 2.0, 5.0))
    close(half_learning_half_distillation(logits, columns, 0.7, old, 0.5, 3.0), plain.half_half(*queries, 0.5, 3.0))


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("replayed", [(False, False), (True, False), (True, True)])
def test_replayed_clips_do_not_teach_no_object(replayed, balance):
    """Their weight goes to the others' no-object, if there is any, and the divisor is that of plain training."""
    logits, _, columns = draw((2, 2, 2.0, 7))
    columns[1, 1], columns[0, 2] = 4, 1  # both clips have both kinds
    places = list(itertools.product(range(BATCH), range(QUERIES)))
    nothing = [place for place in places if columns[place] == 4]
    others = [(b, q) for b, q in nothing if not replayed[b]]
    top = bottom = 0.0
    for b, q in places:
        p, column = plain.probabilities(logits[b, q].tolist()), int(columns[b, q])
        weight = 1.0
        if column == 4:
            factor = len(nothing) / len(others) if balance and others else 1.0
            weight = 0.0 if replayed[b] else 0.1 * factor
        top -= weight * math.log(p[column])
        bottom += weight
    if balance:
        bottom = len(places) - 0.9 * len(nothing)
    assert len(nothing) > len(others) or not any(replayed)
    close(replay_cross_entropy(logits, columns, 0.1, torch.tensor(replayed), balance), top / bottom)


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_a_replayed_batch_without_a_match_costs_nothing(balance, weight):
    logits = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    loss = replay_cross_entropy(logits, torch.full((1, 3), 3), weight, torch.tensor([True]), balance)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_mask_distillation():
    masks, old = torch.randn(2, 2, 3, 2, 2, 4, dtype=torch.float64) * 3
    pairs = zip(masks.flatten().tolist(), old.flatten().tolist(), strict=True)
    values = [plain.bce(x, plain.sigmoid(t)) for x, t in pairs]
    close(mask_distillation(masks, old), sum(values) / len(values))


def test_feature_distance():
    queries, old = torch.randn(2, 2, 3, 5, dtype=torch.float64)
    weight = torch.tensor([[0.5, 0.0, 2.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    top = 0.0
    for b, q in itertools.product(range(2), range(3)):
        differences = [(a - o) ** 2 for a, o in zip(queries[b, q].tolist(), old[b, q].tolist(), strict=True)]
        top += weight[b, q].item() * sum(differences) / 5
    close(feature_distance(queries, old, weight), top / 3.5)


def test_gradients_are_those_of_the_values():
    """The analytic gradient of every loss equals the differences of its values, with respect to the new model."""
    logits, old, columns = draw((2, 2, 1.5, 3))
    again = torch.tensor([True, False])
    queries, masks = torch.randn(2, BATCH, QUERIES, 4, dtype=torch.float64)
    weight = torch.rand(BATCH, QUERIES, dtype=torch.float64)
    cases = [
        (lambda z: unbiased_cross_entropy(z, columns, 0.1, 2), logits),
        (lambda z: unbiased_cross_entropy(z, columns, 0.1, 2, focal=True), logits),
        (lambda z: softmax_focal(z, columns), logits),
        (lambda z: unbiased_distillation(z, old), logits),
        (lambda z: adaptive_mean(unbiased_distillation(z, old), old), logits),
        (lambda z: _plain(z, old), logits),
        (lambda z: half_learning_half_distillation(z, columns, 0.1, old), logits),
        (lambda z: replay_cross_entropy(z, columns, 0.1, again, True), logits),
        (lambda z: replay_cross_entropy(z, columns, 0.1, again, False), logits),
        (lambda x: feature_distance(x, queries, weight), masks),
        (lambda x: mask_distillation(x, queries), masks),
    ]
    for loss, at in cases:
        assert torch.autograd.gradcheck(loss, at.clone().requires_grad_())


def test_weights_that_are_all_zero_give_zero_and_finite_gradients():
    values = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    mean = weighted_mean(values, weight)
    mean.backward()
    assert mean.item() == 0
    assert torch.isfinite(values.grad).all()
    assert torch.isfinite(weight.grad).all()
    queries = torch.randn(1, 2, 3, requires_grad=True)
    feature_distance(queries, torch.randn(1, 2, 3), torch.zeros(1, 2)).backward()
    assert torch.equal(queries.grad, torch.zeros_like(queries))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sure_models_give_finite_losses_and_gradients(dtype):
    """Probabilities that are exactly zero or one in floating point; logits may come in half precision."""
    for sure, old_sure in itertools.product(range(5), range(3)):
        logits, old = torch.full((1, 2, 5), -200.0, dtype=dtype), torch.full((1, 2, 3), -200.0, dtype=dtype)
        logits[..., sure], old[..., old_sure] = 200.0, 200.0
        logits.requires_grad_()
        columns = torch.tensor([[4, 0]])
        kept = unbiased_distillation(logits, old)
        losses = [
            adaptive_mean(kept, old),
            kept.mean(),
            _plain(logits, old).mean(),
            unbiased_cross_entropy(logits, columns, 0.1, 2),
            unbiased_cross_entropy(logits, columns, 0.1, 2, focal=True),
            half_learning_half_distillation(logits, columns, 0.1, old),
        ]
        total = torch.stack(losses).sum()
        total.backward()
        assert torch.isfinite(total)
        assert torch.isfinite(logits.grad).all()


def test_divergence_is_zero_at_equality_and_nowhere_less():
    q = torch.randn(4, 6, dtype=torch.float64).log_softmax(-1)
    p = torch.randn(50, 4, 6, dtype=torch.float64).log_softmax(-1)
    assert kl(q, q).abs().max() == 0
    assert kl(q, p).min() > 0
