"""What the methods make of sigmoids without a column for no object: plain loops in float64, and theory."""

import plain_distillation as plain
import pytest
import torch

from cvis.learners.balconpas import replay_cross_entropy
from cvis.learners.distill import adaptive_mean, slot_mean, unbiased_distillation, unbiased_focal
from cvis.segmenters.background import sigmoid_focal

OLD, CLASSES, NOTHING = 2, 5, 5
PLACES = [(b, n) for b in range(2) for n in range(4)]


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(2, 4, CLASSES, dtype=torch.float64, generator=generator)
    old = 3 * torch.randn(2, 4, OLD, dtype=torch.float64, generator=generator)
    return logits, old, torch.tensor([[5, 3, 5, 4], [5, 5, 0, 5]])


def test_negatives_of_old_classes_count_as_far_as_the_old_model_does_not_see_them(case):
    logits, old, columns = case
    total = 0.0
    for b, n in PLACES:
        for c in range(CLASSES):
            hidden = plain.sigmoid(old[b, n, c].item()) if c < OLD and columns[b, n] == NOTHING else 0
            value = plain.focal_of_sigmoid(logits[b, n, c].item(), columns[b, n] == c)
            total += (1 - hidden) * (0.7 if columns[b, n] == NOTHING else 1) * value
    assert unbiased_focal(logits, columns, 0.7, old).item() == pytest.approx(total / 3, rel=1e-12)
    assert unbiased_focal(logits, columns, 0.7, old[..., :0]) == sigmoid_focal(logits, columns, 0.7)
    sure = unbiased_focal(logits.requires_grad_(), torch.full_like(columns, NOTHING), 1.0, torch.full_like(old, 50.0))
    (gradient,) = torch.autograd.grad(sure, logits)
    assert gradient[..., :OLD].abs().max() < 1e-12 < gradient[..., OLD:].abs().min()


def test_distillation_of_sigmoids_and_its_means(case):
    logits, old, _ = case
    kept = unbiased_distillation(logits, old, "sigmoid")
    values = {(b, n): plain.sigmoid_divergence(logits[b, n].tolist(), old[b, n].tolist()) for b, n in PLACES}
    torch.testing.assert_close(kept.flatten(), torch.tensor([*values.values()], dtype=torch.float64))
    sure = {(b, n): plain.sigmoid(old[b, n].max().item()) for b, n in PLACES}
    expected = sum(values.values()) / sum(sure.values())
    assert slot_mean(kept, old, "sigmoid").item() == pytest.approx(expected, rel=1e-12)
    squares = {place: weight**2 for place, weight in sure.items()}
    expected = sum(squares[place] * values[place] for place in PLACES) / sum(squares.values())
    assert adaptive_mean(kept, old, background="sigmoid").item() == pytest.approx(expected, rel=1e-12)
    assert unbiased_distillation(torch.cat([old, logits[..., OLD:]], -1), old, "sigmoid").abs().max() == 0
    moved = torch.cat([logits[..., :OLD], 9 * torch.ones_like(logits[..., OLD:])], -1)  # new classes have no part
    assert torch.equal(unbiased_distillation(moved, old, "sigmoid"), kept)


@pytest.mark.parametrize("balance", [False, True])
def test_replayed_clips_teach_sigmoids_nothing_where_nothing_is_labelled(case, balance):
    logits, _, columns = case
    total = 0.0
    for b, n in PLACES:
        weight = 1.0
        if columns[b, n] == NOTHING:
            weight = 0 if b == 0 else 0.7 * (5 / 3 if balance else 1)  # five places without a class, three not replayed
        total += weight * sum(
            plain.focal_of_sigmoid(z, columns[b, n] == c) for c, z in enumerate(logits[b, n].tolist())
        )
    found = replay_cross_entropy(logits, columns, 0.7, torch.tensor([True, False]), balance, "sigmoid")
    assert found.item() == pytest.approx(total / 3, rel=1e-12)


def test_gradients_are_those_of_the_values(case):
    logits, old, columns = case
    again = torch.tensor([True, False])
    for loss in (
        lambda z: unbiased_focal(z, columns, 0.7, old),
        lambda z: unbiased_distillation(z, old, "sigmoid"),
        lambda z: replay_cross_entropy(z, columns, 0.7, again, True, "sigmoid"),
    ):
        assert torch.autograd.gradcheck(loss, logits.clone().requires_grad_())
