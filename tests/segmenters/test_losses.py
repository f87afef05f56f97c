"""The matching equals brute force, the losses equal their formulas written as plain float64 loops."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from cvis.errors import UserError
from cvis.segmenters.mask2former import criterion as module
from cvis.segmenters.mask2former.criterion import Criterion, pad_tracks, softmax_cross_entropy
from cvis.segmenters.mask2former.matcher import assign, pairwise_cost
from cvis.segmenters.mask2former.points import sample, uncertain_points
from cvis.segmenters.openmmlab import quiet
from cvis.segmenters.outputs import Output
from cvis.types import NO_OBJECT, Targets


def bilinear(image, x, y):
    """Value at (x, y) in [0, 1], pixel centres at (i + 0.5) / size, zero outside."""
    height, width = image.shape
    x, y = x * width - 0.5, y * height - 0.5
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += float(image[row, column]) * (1 - abs(row - y)) * (1 - abs(column - x))
    return total


def bce(x, t):
    return max(x, 0) - x * t + math.log1p(math.exp(-abs(x)))


def dice(logits, truth):
    p = [1 / (1 + math.exp(-x)) for x in logits]
    return 1 - (2 * sum(a * b for a, b in zip(p, truth, strict=True)) + 1) / (sum(p) + sum(truth) + 1)


def random_case(layers=2, batch=2, queries=4, frames=2, classes=3, counts=(2, 1)):
    outputs = [
        Output(
            torch.randn(batch, queries, classes + 1, dtype=torch.float64),
            *[torch.zeros(0)] * 3,
            torch.randn(batch, queries, frames, 4, 6, dtype=torch.float64),
        )
        for _ in range(layers)
    ]
    columns = [torch.randint(0, classes, (count,)) for count in counts]
    masks = [torch.rand(count, frames, 8, 12) > 0.5 for count in counts]
    return outputs, columns, masks


def test_sample_is_bilinear():
    image, points = torch.randn(1, 1, 4, 6), torch.rand(1, 50, 2)
    values = sample(image, points)[0, 0]
    expected = [bilinear(image[0, 0], x, y) for x, y in points[0].tolist()]
    torch.testing.assert_close(values, torch.tensor(expected), rtol=0, atol=1e-5)


def test_uncertain_points_prefer_the_border():
    """On a mask that is undecided in the left half only, three of four points lie there."""
    mask = torch.full((1, 1, 16, 16), 10.0)
    mask[..., :8] = 0.1
    points = uncertain_points(mask, 400, oversample=3.0, importance=0.75)
    assert points.shape == (1, 400, 2)
    assert (points[0, :300, 0] < 0.55).all()
    assert 0.3 < (points[0, 300:, 0] < 0.5).float().mean() < 0.7


def test_cost_is_the_formula():
    outputs, columns, masks = random_case()
    points = torch.rand(1, 30, 2, dtype=torch.float64)
    predicted = sample(outputs[0].masks[:1].flatten(1, 2), points).view(4, -1)
    truth = sample(masks[0].double().flatten(0, 1)[None], points).view(2, -1)
    cost = pairwise_cost(outputs[0].logits[0], predicted, columns[0], truth)
    for query, track in itertools.product(range(4), range(2)):
        x, t = predicted[query].tolist(), truth[track].tolist()
        probability = outputs[0].logits[0, query].softmax(-1)[columns[0][track]].item()
        expected = -2 * probability + 5 * sum(map(bce, x, t)) / len(x) + 5 * dice(x, t)
        assert cost[query, track].item() == pytest.approx(expected, abs=1e-10)


def test_cost_equals_mmdet():
    with quiet():  # of cvis's door to mmdet, whose stand-in for mmcv's operators must come first
        from mmdet.models.task_modules.assigners import ClassificationCost, CrossEntropyLossCost, DiceCost
        from mmengine.structures import InstanceData

    logits, masks = torch.randn(5, 4), torch.randn(5, 40)
    columns, truth = torch.tensor([2, 0]), (torch.rand(2, 40) > 0.5).float()
    predicted, target = InstanceData(scores=logits, masks=masks), InstanceData(labels=columns, masks=truth)
    parts = ClassificationCost(2.0), CrossEntropyLossCost(True, 5.0), DiceCost(True, eps=1.0, weight=5.0)
    expected = sum(part(predicted, target) for part in parts)
    torch.testing.assert_close(pairwise_cost(logits, masks, columns, truth), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("counts", [(3, 0, 1), (2, 4, 0)])
def test_assignment_is_the_cheapest(counts):
    """Against all one-to-one assignments of three queries, with fewer, as many, and more tracks than queries."""
    costs = torch.randn(2, 3, 3, 4)
    matching = assign(costs, counts)
    assert matching.clip.tolist() == [clip for clip, count in enumerate(counts) for _ in range(count)]
    for layer, clip in itertools.product(range(2), range(3)):
        count, cost = counts[clip], costs[layer, clip].tolist()
        chosen = matching.query[layer][matching.clip == clip].tolist()
        paid = [cost[query][track] for track, query in enumerate(chosen) if query >= 0]
        assert len(paid) == len({query for query in chosen if query >= 0}) == min(count, 3)
        # every way to give each track a query or, by padding with as many absent queries, none
        prices = [
            sum(cost[query][track] for track, query in enumerate(choice) if query < 3)
            for choice in itertools.permutations(range(3 + max(0, count - 3)), count)
        ]
        assert sum(paid) == pytest.approx(min(prices), abs=1e-5)


def test_matching_under_autocast_is_the_same():
    """At the same points, of many queries and tracks at close prices, which rounded costs would swap."""
    outputs, columns, masks = random_case(queries=60, counts=(30, 20))
    outputs = [replace(o, logits=o.logits.float() / 4, masks=o.masks.float() / 4) for o in outputs]
    loss, padded, points = Criterion(num_points=50), pad_tracks(masks), torch.rand(2, 50, 2)
    plain = loss.match(outputs, columns, padded, points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss.match(outputs, columns, padded, points)
        values = torch.randn(60, 100)
        assert not torch.equal((values @ values.T).float(), values.double() @ values.double().T)  # autocast is on
    assert torch.equal(plain.query, mixed.query)
    assert torch.equal(plain.clip, mixed.clip)


@pytest.mark.parametrize("counts", [(2, 1), (0, 2), (6, 1)])
def test_losses_are_the_formulas(monkeypatch, counts):
    """2 CE + 5 BCE + 5 dice per layer, sums over (track, frame) divided by the number of tracks.

    With (6, 1) the first clip has more tracks than the four queries: two of them are left out.
    """
    outputs, columns, masks = random_case(counts=counts)
    frames, num_points = 2, 20
    rows = len(outputs) * sum(counts) * frames
    fixed = torch.rand(rows, num_points, 2, dtype=torch.float64)
    monkeypatch.setattr(module, "uncertain_points", lambda *_: fixed)
    loss = Criterion(num_points=num_points)
    matching = loss.match(outputs, columns, pad_tracks(masks, torch.float64))
    monkeypatch.setattr(loss, "match", lambda *_, **__: matching)
    losses = loss(outputs, columns, masks, softmax_cross_entropy)

    truth, ids = torch.cat(masks), torch.cat(columns)
    total = sum(counts)
    for layer, output in enumerate(outputs):
        wanted = {}
        bce_sum = dice_sum = 0.0
        for track in range(total):
            clip, query = int(matching.clip[track]), int(matching.query[layer, track])
            if query < 0:
                continue
            wanted[clip, query] = int(ids[track])
            for frame in range(frames):
                where = fixed[(layer * total + track) * frames + frame].tolist()
                x = [bilinear(output.masks[clip, query, frame], *point) for point in where]
                t = [bilinear(truth[track, frame], *point) for point in where]
                bce_sum += sum(map(bce, x, t)) / num_points
                dice_sum += dice(x, t)
        top = bottom = 0.0
        for clip, query in itertools.product(range(2), range(4)):
            column = wanted.get((clip, query), 3)
            weight = 0.1 if column == 3 else 1.0
            top -= weight * output.logits[clip, query].log_softmax(-1)[column].item()
            bottom += weight
        prefix = "" if layer == len(outputs) - 1 else f"d{layer}."
        assert losses[f"{prefix}loss_cls"].item() == pytest.approx(2 * top / bottom, abs=1e-9)
        assert losses[f"{prefix}loss_mask"].item() == pytest.approx(5 * bce_sum / total, abs=1e-9)
        assert losses[f"{prefix}loss_dice"].item() == pytest.approx(5 * dice_sum / total, abs=1e-9)
    assert len(losses) == 3 * len(outputs)


def test_mask_loss_grows_with_frames_not_with_their_square(small):
    """The same frame T times costs T times as much: detectron2's normaliser (mmdet's would give T squared)."""
    costs = []
    for frames in (1, 2, 4):
        mask = torch.zeros(1, frames, 32, 48, dtype=torch.bool)
        mask[..., :16, :] = True
        flat = torch.zeros(1, 5, frames, 16, 24)
        output = Output(torch.zeros(1, 5, 4), torch.zeros(0), torch.zeros(0), torch.zeros(0), flat)
        losses = small().criterion([output], (Targets(torch.tensor([7]), mask),))
        costs.append(losses["loss_mask"].item())
    assert costs[1] == pytest.approx(2 * costs[0])
    assert costs[2] == pytest.approx(4 * costs[0])


def test_clips_without_targets_train(small, frames):
    segmenter = small()
    nothing = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3, 32, 48, dtype=torch.bool))
    losses = segmenter.criterion(segmenter.decode(segmenter.features(frames)), (nothing, nothing))
    assert losses["loss_mask"].item() == losses["d0.loss_dice"].item() == 0
    assert losses["loss_cls"].item() > 0
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in segmenter.parameters())


def test_every_parameter_gets_a_gradient(small, frames, targets):
    """What DistributedDataParallel asks of a model."""
    segmenter = small()
    sum(segmenter.criterion(segmenter.decode(segmenter.features(frames)), targets).values()).backward()
    assert [name for name, parameter in segmenter.named_parameters() if parameter.grad is None] == []


def test_no_object_target_is_the_last_column(small, frames):
    segmenter = small()
    empty = Targets(torch.tensor([NO_OBJECT]), torch.zeros(1, 3, 32, 48, dtype=torch.bool))
    seen = []

    def classify(logits, columns, weight):
        seen.append(columns)
        return logits.sum() * 0

    losses = segmenter.criterion(segmenter.decode(segmenter.features(frames)), (empty, empty), classify)
    assert all((columns == 3).all() for columns in seen)
    assert losses["loss_dice"].item() > 0


def test_classify_gets_columns_in_learning_order(small, frames, targets):
    segmenter = small()
    seen = []

    def classify(logits, columns, weight):
        assert logits.shape == (2, 5, 4)
        assert weight == 0.1
        seen.append(sorted(columns.flatten().tolist()))
        return logits.sum() * 0

    segmenter.criterion(segmenter.decode(segmenter.features(frames)), targets, classify)
    assert seen == [[0, 1, 2] + [3] * 7] * 4  # ids 7, 3, 12 are columns 0, 1, 2; the rest is no-object


def test_leaked_class_is_refused(small, frames):
    segmenter = small()
    leaked = Targets(torch.tensor([99]), torch.ones(1, 3, 32, 48, dtype=torch.bool))
    with pytest.raises(UserError, match="99"):
        segmenter.criterion(segmenter.decode(segmenter.features(frames)), (leaked, leaked))


def test_non_finite_outputs_reach_the_loss(small, frames, targets):
    """The engine stops the run with the clips' names; the matching must not die before."""
    segmenter = small()
    with torch.no_grad():
        segmenter.groups[0].queries.fill_(float("nan"))
    losses = segmenter.criterion(segmenter.decode(segmenter.features(frames)), targets)
    assert not losses["loss_cls"].isfinite()
