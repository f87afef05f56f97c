"""A loss of its own for each prediction layer, other weights of the matching cost: and nothing else changes."""

from functools import partial

import pytest
import torch
from two_models import make_clip, make_segmenter

from cvis.errors import UserError
from cvis.segmenters.mask2former import criterion as module
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
        dict(classify=None, class_weight=None),
    ],
)
def test_the_defaults_are_what_they_were(case, named):
    assert losses(case, **named) == losses(case)


@pytest.mark.parametrize("count", [2, 4])
def test_as_many_losses_as_layers(case, count):
    with pytest.raises(ValueError, match="zip"):
        losses(case, [softmax_cross_entropy] * count)


@pytest.mark.parametrize(
    ("keys", "called", "expected"),
    [
        ({}, None, (2, 5, 5)),
        ({}, 10.0, (2, 5, 5)),
        (dict(cost_weights="losses"), None, (4, 5, 3)),
        (dict(cost_weights="losses"), 10.0, (10, 5, 3)),
    ],
)
def test_the_cost_follows_the_losses_if_asked_to(keys, called, expected, monkeypatch):
    """``called``: the weight that ECLIPSE's recipe gives its classification loss."""
    segmenter = make_segmenter(criterion=dict(num_points=64, class_weight=4.0, dice_weight=3.0, **keys))
    segmenter.add_classes((7, 3, 40, 41))
    clip = make_clip()
    seen = []

    def record(*tensors, weights):
        seen.append(tuple(weights))
        return pairwise_cost(*tensors, weights=weights)

    monkeypatch.setattr(module, "pairwise_cost", record)
    outputs = segmenter.decode(segmenter.features(clip.frames, clip.sizes))
    segmenter.criterion(outputs, clip.targets, class_weight=called)
    assert seen == [expected] * 3


def test_other_cost_weights_are_refused():
    with pytest.raises(UserError, match="cost_weights: 'mine': choose one of mask2former, losses"):
        make_segmenter(criterion=dict(cost_weights="mine"))


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
