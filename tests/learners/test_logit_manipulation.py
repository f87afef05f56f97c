"""ECLIPSE's rules for no-object and for foreign classes, and its focal loss, against plain float64 loops."""

import math

import pytest
import torch

from cvis.learners.eclipse import manipulate, sigmoid_focal


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def plain_manipulation(row, own, delta):
    """One query's logits, number by number."""
    *classes, no_object = row
    if delta > 0:
        others = sum(sigmoid(z) for c, z in enumerate(classes) if c not in own)
        p = min(max(min(max(others, 0.0), 1.0) * delta, 0.001), 0.999)
        no_object = math.log(p / (1 - p))
    if delta < 0:
        p = min(max(sigmoid(no_object) * -delta, 0.001), 0.999)
        no_object = math.log(p / (1 - p))
    return [z if c in own else -10.0 for c, z in enumerate(classes)] + [no_object]


@pytest.mark.parametrize("delta", [0.5, 0.9, 1.5, -0.4, -1.0, -2.0, 0.0])
@pytest.mark.parametrize("own", [(0, 1), (3,), (1, 2, 4), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("spread", [1.0, 6.0, 40.0])
def test_manipulation(delta, own, spread):
    logits = torch.randn(3, 8, 6, dtype=torch.float64) * spread
    found = manipulate(logits, own, delta)
    expected = [[plain_manipulation(row, own, delta) for row in clip] for clip in logits.tolist()]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)


def test_the_given_logits_stay():
    logits = torch.randn(4, 6)
    before = logits.clone()
    manipulate(logits, [0], 0.5)
    assert torch.equal(logits, before)


def test_half_precision_is_widened():
    found = manipulate(torch.full((1, 4), 30.0, dtype=torch.bfloat16), [0], 0.6)
    assert found.dtype == torch.float32
    assert found[0].tolist() == pytest.approx([30, -10, -10, math.log(0.6 / 0.4)])


def test_sigmoid_focal():
    """50 * mean of 5 * BCE * (1 - p_t) over clips, queries and columns; no-object is a column as the others."""
    logits = torch.randn(2, 4, 5, dtype=torch.float64) * 3
    columns = torch.randint(0, 5, (2, 4))
    terms = []
    for clip in range(2):
        for query in range(4):
            for column in range(5):
                p = sigmoid(logits[clip, query, column].item())
                right = p if columns[clip, query] == column else 1 - p
                terms.append(5 * -math.log(right) * (1 - right))
    assert sigmoid_focal(logits, columns, 0.1).item() == pytest.approx(50 * sum(terms) / len(terms), rel=1e-9)


def test_sigmoid_focal_of_extreme_logits():
    logits = torch.tensor([[[1e4, -1e4], [-1e4, 1e4]]], requires_grad=True)
    loss = sigmoid_focal(logits, torch.tensor([[0, 0]]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
