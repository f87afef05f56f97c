"""Classes without a column for no object: the focal loss of their sigmoids, and heads that begin unsure."""

import math

import pytest
import torch

from cvis.errors import UserError
from cvis.segmenters.background import class_probabilities, object_probability, sigmoid_focal
from cvis.segmenters.heads import ClassHeads


def test_sigmoid_focal_loss_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 3, 4, dtype=torch.float64, generator=generator)
    weight = torch.rand(2, 3, 4, dtype=torch.float64, generator=generator)
    columns = torch.tensor([[1, 4, 3], [4, 4, 0]])
    total = 0.0
    for b in range(2):
        for n in range(3):
            for c in range(4):
                p = 1 / (1 + math.exp(-logits[b, n, c].item()))
                own = columns[b, n] == c
                value = 0.25 * (1 - p) ** 2 * -math.log(p) if own else 0.75 * p**2 * -math.log(1 - p)
                total += weight[b, n, c].item() * value * (0.3 if columns[b, n] == 4 else 1)
    assert sigmoid_focal(logits, columns, 0.3, weight).item() == pytest.approx(total / 3, rel=1e-12)
    assert torch.autograd.gradcheck(lambda z: sigmoid_focal(z, columns), logits.requires_grad_())
    nothing = torch.full_like(columns, 4)  # divided by one, not by the none that there are
    assert sigmoid_focal(logits, nothing).item() == pytest.approx(3 * sigmoid_focal(logits, nothing, 1 / 3).item())
    assert 0 < sigmoid_focal(logits, nothing) < torch.inf


def test_objects_show_in_the_greatest_sigmoid_or_in_what_no_object_leaves():
    logits = torch.tensor([[0.0, 1.0, -1.0]])
    torch.testing.assert_close(object_probability(logits, "sigmoid"), torch.tensor([1.0]).sigmoid())
    torch.testing.assert_close(object_probability(logits), class_probabilities(logits).sum(-1))
    assert class_probabilities(logits, "sigmoid").shape == (1, 3)


def test_heads_without_no_object():
    heads = ClassHeads(8, background="sigmoid").double()
    heads.add(2)
    heads.add(1)
    with torch.no_grad():
        logits = heads(torch.zeros(3, 8, dtype=torch.float64))
    torch.testing.assert_close(logits.sigmoid(), torch.full((3, 3), 0.01, dtype=torch.float64))
    assert {name.split(".")[0] for name in heads.state_dict()} == {"steps"}
    with pytest.raises(UserError, match="add_classes: init: 'background': a copy of the no-object head, which"):
        heads.add(1, init="background")
