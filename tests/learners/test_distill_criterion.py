"""A loss of its own for each prediction layer, another matching cost: and nothing else changes."""

from functools import partial

import pytest
import torch
from two_models import make_clip, make_segmenter

from cvis.learners.comformer import product_cost
from cvis.segmenters.mask2former.criterion import softmax_cross_entropy
from cvis.segmenters.mask2former.matcher import pairwise_cost


@pytest.fixture
def case():
    segmenter = make_segmenter()
    segmenter.add_classes((7, 3, 40, 41))
    clip = make_clip()
    return segmenter, segmenter.decode(segmenter.features(clip.frames, clip.sizes)), clip.targets


def losses(case, *arguments, **named):
    segmenter, outputs, targets = case
    torch.manual_seed(0)
    return segmenter.criterion(outputs, targets, *arguments, **named)


def constant(value, logits, columns, no_object_weight):
    return logits.sum() * 0 + value


def test_each_layer_gets_its_own_loss(case):
    found = losses(case, [partial(constant, value) for value in (1.0, 10.0, 100.0)])
    assert [found[name].item() for name in ("d0.loss_cls", "d1.loss_cls", "loss_cls")] == [2.0, 20.0, 200.0]


def test_each_layer_sees_its_own_logits_and_columns(case):
    seen = {}

    def record(layer, logits, columns, no_object_weight):
        seen[layer] = logits, columns
        return logits.sum() * 0

    losses(case, [partial(record, layer) for layer in range(3)])
    for layer, output in enumerate(case[1]):
        logits, columns = seen[layer]
        assert torch.equal(logits, output.logits)
        assert sorted(columns.flatten().tolist()) == [2, 3] + [4] * 10


@pytest.mark.parametrize(
    "named",
    [
        dict(classify=softmax_cross_entropy),
        dict(classify=[softmax_cross_entropy] * 3),
        dict(classify=None, class_weight=None, cost=None),
        dict(cost=pairwise_cost),
    ],
)
def test_the_defaults_are_what_they_were(case, named):
    assert losses(case, **named) == losses(case)


@pytest.mark.parametrize("count", [2, 4])
def test_as_many_losses_as_layers(case, count):
    with pytest.raises(ValueError, match="zip"):
        losses(case, [softmax_cross_entropy] * count)


def test_another_cost_changes_the_matching_alone(case):
    """The first of these costs prefers the query of the lowest index, the second that of the highest."""
    seen = []

    def record(logits, columns, no_object_weight):
        seen.append(columns)
        return logits.sum() * 0

    def prefer(sign):
        def cost(logits, masks, columns, truth):
            order = sign * torch.arange(logits.shape[-2], dtype=masks.dtype)
            return order[:, None].expand(*logits.shape[:-1], columns.shape[-1])

        return cost

    losses(case, record, cost=prefer(1))
    assert sorted(seen.pop()[0, :2].tolist()) == [2, 3]
    losses(case, record, cost=prefer(-1))
    assert sorted(seen.pop()[0, -2:].tolist()) == [2, 3]
    assert losses(case, cost=product_cost).keys() == losses(case).keys()


def test_the_matching_that_methods_ask_for_is_that_of_the_losses(case):
    segmenter, outputs, targets = case
    seen = []

    def record(logits, columns, no_object_weight):
        seen.append(columns)
        return logits.sum() * 0

    losses(case, record)
    torch.manual_seed(0)  # the same points
    matching = segmenter.match(outputs, targets)
    for columns, query in zip(seen, matching.query, strict=True):
        assert columns[0, query].tolist() == [2, 3]
    assert matching.clip.tolist() == [0, 0]


def test_queries_matched_to_some_classes_are_told_among_all_targets(case):
    segmenter, outputs, targets = case
    torch.manual_seed(0)
    query = segmenter.match(outputs[-1:], targets).query[0].tolist()
    for classes in ([40], [41], [40, 41], [7]):
        torch.manual_seed(0)
        matched = segmenter.matched_to(outputs[-1], targets, classes)
        expected = {(0, q) for q, category in zip(query, [40, 41], strict=True) if category in classes}
        assert {tuple(place) for place in matched.nonzero().tolist()} == expected
