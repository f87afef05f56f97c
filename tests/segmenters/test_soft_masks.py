"""CoMFormer's soft masks against plain float64 loops: interpolation of logits first, then the softmax over queries."""

import itertools
import math

import numpy as np
import pytest
import torch
from pycocotools import mask as rle_tools

from cvis.segmenters.mask2former import criterion as module
from cvis.segmenters.mask2former.criterion import Criterion, pad_tracks, softmax_cross_entropy
from cvis.segmenters.mask2former.decoder import allowed_pixels, resize
from cvis.segmenters.mask2former.matcher import product_cost
from cvis.segmenters.outputs import Answers, Memory, Output
from cvis.types import Video

QUERIES, FRAMES, TALL, WIDE = 4, 2, 4, 6


def bilinear(image, x, y, pad):
    """Value of nested lists at (x, y) in [0, 1], corner to corner; outside the border's, or zero (``pad``)."""
    height, width = len(image), len(image[0])
    x, y = x * width - 0.5, y * height - 0.5
    if not pad:
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += image[row][column] * (1 - abs(row - y)) * (1 - abs(column - x))
    return total


def resized(image, height, width):
    return [
        [bilinear(image, (x + 0.5) / width, (y + 0.5) / height, False) for x in range(width)] for y in range(height)
    ]


def shares(logits):
    """Softmax of the logits of all queries at one place."""
    terms = [math.exp(z - max(logits)) for z in logits]
    return [term / sum(terms) for term in terms]


def plain_logits(embedding, features):
    """Inner products with [D, h, w] as nested lists."""
    depth, height, width = features.shape
    return [
        [sum(embedding[d].item() * features[d, y, x].item() for d in range(depth)) for x in range(width)]
        for y in range(height)
    ]


@pytest.mark.parametrize("height", [2, 8])
def test_masked_attention_looks_where_the_softmax_share_is_a_half(height):
    """After the resize to the level; a query that leads nowhere may look everywhere, and some query does not lead."""
    width, size, dim = 3, 6, 3
    embeddings = 2 * torch.randn(1, QUERIES, dim, dtype=torch.float64)
    embeddings[0, 3] = embeddings[0, :3].mean(0)  # never the largest logit
    features = torch.randn(1, FRAMES, dim, 4, size, dtype=torch.float64)
    small = resize(features.flatten(0, 1), (height, width)).unflatten(0, (1, FRAMES)).flatten(3)
    found = allowed_pixels(embeddings, small, soft_masks=True)[0, 0].view(QUERIES, FRAMES, height, width)
    inside, early = [torch.zeros(QUERIES, FRAMES, height, width, dtype=torch.bool) for _ in range(2)]
    for t in range(FRAMES):
        full = [plain_logits(embeddings[0, q], features[0, t]) for q in range(QUERIES)]
        level = [resized(one, height, width) for one in full]
        share = [[shares([one[y][x] for one in full]) for x in range(size)] for y in range(4)]
        wrong = [resized([[s[q] for s in row] for row in share], height, width) for q in range(QUERIES)]
        for y, x in itertools.product(range(height), range(width)):
            for q, p in enumerate(shares([one[y][x] for one in level])):
                inside[q, t, y, x], early[q, t, y, x] = p >= 0.5, wrong[q][y][x] >= 0.5
    assert not inside[3].any()
    assert found[3].all()
    for q in range(QUERIES):
        assert torch.equal(found[q], inside[q] if inside[q].any() else torch.ones_like(inside[q]))
    assert not torch.equal(inside, early)  # the softmax before the resize would be another
    assert not torch.equal(found, allowed_pixels(embeddings, small)[0, 0].view_as(found))


def test_the_decoder_attends_by_soft_masks(small, frames):
    """All layers but the prediction before the first, of one group and of all."""
    segmenter = small().eval()
    memory = segmenter.features(frames)
    plain, groups = segmenter.decode_queries(memory), segmenter.decode_groups(memory)
    segmenter.soft_masks = True
    soft = segmenter.decode_queries(memory)
    assert torch.equal(plain[0].queries, soft[0].queries)
    assert all(not torch.equal(a.queries, b.queries) for a, b in zip(plain[1:], soft[1:], strict=True))
    assert torch.equal(segmenter.decode_groups(memory)[0].queries, soft[-1].queries)
    assert torch.equal(groups[0].queries, plain[-1].queries)


def random_outputs(layers=2, batch=2, classes=3):
    return [
        Output(
            torch.randn(batch, QUERIES, classes + 1, dtype=torch.float64),
            *[torch.zeros(0)] * 3,
            3 * torch.randn(batch, QUERIES, FRAMES, TALL, WIDE, dtype=torch.float64),
        )
        for _ in range(layers)
    ]


@pytest.mark.parametrize("counts", [(2, 1), (0, 2), (2, 0), (6, 1)])
def test_losses_are_minus_t_log_p_and_dice_of_the_share(monkeypatch, counts):
    """With (6, 1) the first clip has more tracks than the four queries: two of them are left out."""
    number, total = 7, sum(counts)
    outputs = random_outputs()
    columns = [torch.randint(0, 3, (count,)) for count in counts]
    masks = [torch.rand(count, FRAMES, 8, 12) > 0.5 for count in counts]
    fixed = torch.rand(len(outputs) * total * FRAMES, number, 2, dtype=torch.float64)
    monkeypatch.setattr(module, "uncertain_points", lambda *_: fixed)
    loss = Criterion(num_points=number)
    matching = loss.match(outputs, columns, pad_tracks(masks, torch.float64), soft_masks=True)
    monkeypatch.setattr(loss, "match", lambda *_, **__: matching)
    losses = loss(outputs, columns, masks, softmax_cross_entropy, soft_masks=True)
    truth = torch.cat(masks)
    for layer, output in enumerate(outputs):
        cross_entropy = dice = 0.0
        for track, frame in itertools.product(range(total), range(FRAMES)):
            clip, query = int(matching.clip[track]), int(matching.query[layer, track])
            if query < 0:
                continue
            top = bottom = 0.0
            maps, wanted = output.masks[clip, :, frame].tolist(), truth[track, frame].tolist()
            for x, y in fixed[(layer * total + track) * FRAMES + frame].tolist():
                p = shares([bilinear(one, x, y, True) for one in maps])[query]
                t = bilinear(wanted, x, y, True)
                cross_entropy -= t * math.log(p) / number
                top, bottom = top + 2 * p * t, bottom + p + t
            dice += 1 - (top + 1) / (bottom + 1)
        prefix = "" if layer == len(outputs) - 1 else f"d{layer}."
        assert losses[f"{prefix}loss_mask"].item() == pytest.approx(5 * cross_entropy / total, abs=1e-10)
        assert losses[f"{prefix}loss_dice"].item() == pytest.approx(5 * dice / total, abs=1e-10)


def test_the_cost_is_twice_the_product_by_the_sum():
    logits = torch.randn(3, 4, dtype=torch.float64)
    masks, truth = 2 * torch.randn(3, 10, dtype=torch.float64), torch.rand(2, 10, dtype=torch.float64)
    columns = torch.tensor([2, 0])
    found = product_cost(logits, masks, columns, truth)
    m = [shares(masks[:, point].tolist()) for point in range(10)]
    for query, track in itertools.product(range(3), range(2)):
        p, t = shares(logits[query].tolist())[columns[track]], truth[track].tolist()
        d = 2 * sum(m[i][query] * t[i] for i in range(10)) + 1
        d /= sum(m[i][query] for i in range(10)) + sum(t) + 1
        assert found[query, track].item() == pytest.approx(-2 * p * d / (p + d), abs=1e-12)


def test_the_matching_minimises_that_cost():
    """Against all pairs of a track with a query, at the same points; the usual cost would choose another."""
    differs = False
    for seed in range(10):
        torch.manual_seed(seed)
        output = random_outputs(1, 1)[0]
        points = torch.rand(1, 9, 2, dtype=torch.float64)
        column, mask = torch.tensor([1]), torch.rand(1, FRAMES, 8, 12) > 0.5
        padded, loss = pad_tracks([mask], torch.float64), Criterion(num_points=9)
        query = loss.match([output], [column], padded, points, soft_masks=True).query.item()
        costs = []
        for q in range(QUERIES):
            p, top, bottom = output.logits[0, q].softmax(-1)[1].item(), 0.0, 0.0
            for t, (x, y) in itertools.product(range(FRAMES), points[0].tolist()):
                share = shares([bilinear(one, x, y, True) for one in output.masks[0, :, t].tolist()])[q]
                wanted = bilinear(mask[0, t].double().tolist(), x, y, True)
                top, bottom = top + 2 * share * wanted, bottom + share + wanted
            d = (top + 1) / (bottom + 1)
            costs.append(-2 * p * d / (p + d))
        assert query == costs.index(min(costs))
        differs |= query != loss.match([output], [column], padded, points).query.item()
    assert differs


def test_every_part_of_the_model_reads_soft_masks(small, frames, targets):
    """Losses, the matching that methods ask for: with ``soft_masks`` all are others, and gradients are finite."""
    segmenter = small()
    outputs = segmenter.decode(segmenter.features(frames))
    found = []
    for segmenter.soft_masks in (False, True):
        torch.manual_seed(0)
        losses = segmenter.criterion(outputs, targets)
        torch.manual_seed(0)
        found.append((losses["loss_mask"].item(), losses["loss_dice"].item()))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]
    sum(losses.values()).backward()
    gradients = [parameter.grad for parameter in segmenter.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("queries", [1, 3])
def test_losses_of_a_lone_winner_and_of_extreme_logits_are_finite(queries):
    masks = 1e4 * torch.linspace(-1, 1, queries)[None, :, None, None, None].repeat(1, 1, 1, 2, 2)
    masks.requires_grad_()
    output = Output(torch.zeros(1, queries, 2), *[torch.zeros(0)] * 3, masks)
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[..., :2] = True
    losses = Criterion(num_points=8)([output], [torch.tensor([0])], [mask], softmax_cross_entropy, soft_masks=True)
    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())
    assert masks.grad.isfinite().all()


def test_proposals_share_the_pixels_at_the_clips_size(small):
    """In the single precision in which proposals are made."""
    segmenter = small()
    segmenter.soft_masks = True
    logits, masks = 2 * torch.randn(1, QUERIES, 4), 3 * torch.randn(1, QUERIES, FRAMES, TALL, WIDE)
    logits[0, 0, 3] = 9.0  # one that proposes nothing, and yet has its share
    memory = Memory((), torch.zeros(0), (8, 12))
    found = segmenter.proposals(Output(logits, *[torch.zeros(0)] * 3, masks), memory, (7, 10))[0]
    proposing = [q for q in range(QUERIES) if logits[0, q].argmax() < 3]
    assert 0 < len(proposing) < QUERIES
    for t in range(FRAMES):
        large = [resized(masks[0, q, t].double().tolist(), 8, 12) for q in range(QUERIES)]
        for y, x in itertools.product(range(7), range(10)):
            expected = [shares([one[y][x] for one in large])[q] for q in proposing]
            assert found.masks[:, t, y, x].tolist() == pytest.approx(expected, abs=2e-6)
    assert found.masks.shape == (len(proposing), FRAMES, 7, 10)


def test_answers_share_the_pixels_at_the_videos_size(small):
    """Resized to the network's frames, cut, resized to the video, then the softmax of all queries: above one half."""
    segmenter = small(test=dict(short_side=16, top_k=2, window=1))
    video = Video(4, "v", 20, 25, ("a", "b"))
    scores = torch.zeros(QUERIES, 3)
    scores[1, 0], scores[3, 2] = 0.9, 0.8
    embeddings, features = torch.randn(QUERIES, 5), torch.randn(1, FRAMES, 5, TALL, WIDE)
    memory = Memory((), features, (16, 32))
    assert segmenter.inference.size(20, 25) == (16, 20)
    (found,) = segmenter.inference.tracks(video, memory, [Answers(scores, embeddings)], (7, 3, 12), soft_masks=True)
    assert found.category_ids == (7, 12)
    seen = 0
    for t in range(FRAMES):
        large = []
        for q in range(QUERIES):
            network = resized(plain_logits(embeddings[q].double(), features[0, t].double()), 16, 32)
            large.append(resized([row[:20] for row in network], 20, 25))
        for place, query in enumerate((1, 3)):
            code = found.segmentations[place][t]
            mask = np.zeros((20, 25)) if code is None else rle_tools.decode(code)
            for y, x in itertools.product(range(20), range(25)):
                share = shares([one[y][x] for one in large])[query]
                assert abs(share - 0.5) < 1e-5 or mask[y, x] == (share > 0.5)
            seen += mask.sum()
    assert 0 < seen < 2 * FRAMES * 500


@pytest.mark.parametrize("given", [None, 10.0])
def test_cost_weights_of_the_losses_follow_them_also_by_call(given):
    """Weight 7 / 3 / 4 of the losses, 10 for a call's class: the chosen query is the cheapest of the plain formula."""
    chosen = {"losses": [], "mask2former": []}
    for seed, weights in itertools.product(range(25), chosen):
        torch.manual_seed(seed)
        output = random_outputs(1, 1)[0]
        points = torch.rand(1, 9, 2, dtype=torch.float64)
        column, mask = torch.tensor([1]), torch.rand(1, FRAMES, 8, 12) > 0.5
        loss = Criterion(9, class_weight=7.0, mask_weight=3.0, dice_weight=4.0, cost_weights=weights)
        padded = pad_tracks([mask], torch.float64)
        query = loss.match([output], [column], padded, points, class_weight=given).query.item()
        of = (given or 7.0, 3.0, 4.0) if weights == "losses" else (2.0, 5.0, 5.0)
        costs = []
        for q in range(QUERIES):
            bce = top = bottom = 0.0
            for t, (x, y) in itertools.product(range(FRAMES), points[0].tolist()):
                z = bilinear(output.masks[0, q, t].tolist(), x, y, True)
                wanted = bilinear(mask[0, t].double().tolist(), x, y, True)
                p = 1 / (1 + math.exp(-z))
                bce -= (wanted * math.log(p) + (1 - wanted) * math.log(1 - p)) / (FRAMES * 9)
                top, bottom = top + 2 * p * wanted, bottom + p + wanted
            dice = 1 - (top + 1) / (bottom + 1)
            costs.append(-of[0] * output.logits[0, q].softmax(-1)[1].item() + of[1] * bce + of[2] * dice)
        assert query == costs.index(min(costs))
        chosen[weights].append(query)
    assert chosen["losses"] != chosen["mask2former"]
