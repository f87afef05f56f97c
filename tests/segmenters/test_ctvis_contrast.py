"""CTVIS's memory bank, contrastive items and losses, against plain loops written from the paper."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from cvis.errors import UserError
from cvis.segmenters.ctvis.contrast import Recipe, contrastive_losses, momentum
from cvis.segmenters.ctvis.criterion import ContrastiveCriterion
from cvis.segmenters.ctvis.frames import queries_of, targets_by_frame
from cvis.types import NO_OBJECT, Targets

B, N, T, Q, D = 2, 3, 6, 5, 4
CODE = dict(bank_probability=0.0, future=True, negatives="queries", noise=0.0, noise_from="queries", detach_keys=False)
PAPER = dict(CODE, bank_probability=1.0, future=False, negatives="ma+bg")


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def random_case():
    """Objects that come and go; the third of the second clip is never there."""
    queries = torch.full((B, N, T), -1)
    for b, t in itertools.product(range(B), range(T)):
        chosen = torch.randperm(Q)[:N]
        queries[b, :, t] = torch.where(torch.rand(N) < 0.6, chosen, -1)
    queries[1, 2] = -1
    queries[0, 1, :2], queries[0, 1, 2:4] = -1, torch.tensor([4, 4])  # first seen in frame 2, again in frame 3
    queries[0, 0, :4], queries[0, 2, 2:4] = torch.tensor([0, 0, 1, -1]), torch.tensor([2, 2])
    return torch.randn(B, T, Q, D, dtype=torch.float64), queries


def remembered(embeddings):
    """ê of a list of embeddings, oldest first: equations 1 and 2."""
    mean = embeddings[0]
    for t in range(1, len(embeddings)):
        beta = max(0.0, sum(cosine(embeddings[t], old) for old in embeddings[:t]) / t)
        mean = [(1 - beta) * m + beta * e for m, e in zip(mean, embeddings[t], strict=True)]
    return mean


def plain_losses(embeddings, queries, bank, future, negatives):
    """L_emb and L_aux, with a bank that always, or never, is asked for the average; without noise."""
    emb, aux = [], []
    vectors = embeddings.tolist()
    for b, i, t in itertools.product(range(B), range(N), range(1, T)):
        own = queries[b, i].tolist()
        if own[t] < 0:
            continue
        history = [vectors[b][k][own[k]] for k in range(t) if own[k] >= 0]
        later = [vectors[b][k][own[k]] for k in range(t + 1, T) if own[k] >= 0]
        if history:
            positive = remembered(history) if bank else history[-1]
        elif future and later:
            positive = later[0]
        else:
            continue
        if negatives == "queries":
            against = [vectors[b][t - 1][q] for q in range(Q) if q != own[t - 1]]
        else:
            taken = set(queries[b, :, t - 1].tolist())
            against = [vectors[b][t - 1][q] for q in range(Q) if q not in taken]
            for j in range(N):
                seen = [vectors[b][k][queries[b, j, k]] for k in range(t) if queries[b, j, k] >= 0]
                if j != i and seen:
                    against.append(remembered(seen))
        anchor = vectors[b][t][own[t]]
        emb.append(math.log(1 + sum(math.exp(dot(anchor, k) - dot(anchor, positive)) for k in against)))
        keys = [(positive, 1), *((k, 0) for k in against)]
        aux.append(sum((cosine(anchor, k) - y) ** 2 for k, y in keys) / len(keys))
    return sum(emb) / len(emb), sum(aux) / len(aux), len(emb)


@pytest.mark.parametrize("switches", list(itertools.product([0.0, 1.0], [False, True], ["queries", "ma+bg"])))
def test_losses_are_the_formulas(switches):
    bank, future, negatives = switches
    embeddings, queries = random_case()
    recipe = Recipe(**{**CODE, "bank_probability": bank, "future": future, "negatives": negatives})
    items = recipe.items(embeddings, queries)
    emb, aux, number = plain_losses(embeddings, queries, bank, future, negatives)
    assert int(items.valid.sum()) == number > 8
    found = contrastive_losses(items)
    assert found[0].item() == pytest.approx(emb, abs=1e-12)
    assert found[1].item() == pytest.approx(aux, abs=1e-12)


def test_the_bank_is_equations_1_and_2_and_carries_over():
    embeddings, written = torch.randn(1, 2, 7, D, dtype=torch.float64), torch.rand(1, 2, 7) < 0.6
    written[0, 0] = torch.tensor([0, 1, 1, 0, 0, 1, 1])
    bank = momentum(embeddings, written)
    for n, t in itertools.product(range(2), range(7)):
        history = [embeddings[0, n, k].tolist() for k in range(t + 1) if written[0, n, k]]
        assert bool(bank.known[0, n, t]) == bool(history)
        if history:
            assert bank.averaged[0, n, t].tolist() == pytest.approx(remembered(history), abs=1e-12)
            assert bank.latest[0, n, t].tolist() == history[-1]


def test_a_bank_of_one_frame_is_plain_contrastive_learning():
    """Of two frames, whichever positive is asked for: cross entropy of (positive, negatives)."""
    embeddings = torch.randn(1, 2, Q, D, dtype=torch.float64)
    queries = torch.tensor([[[1, 3], [0, 0]]])
    expected = []
    for before, now in queries[0].tolist():
        logits = embeddings[0, 0] @ embeddings[0, 1, now]
        expected.append(F.cross_entropy(logits, torch.tensor(before)).item())
    for recipe in (CODE, PAPER):
        emb, _ = contrastive_losses(Recipe(**recipe).items(embeddings, queries))
        assert emb.item() == pytest.approx(sum(expected) / 2, abs=1e-12)


def test_noise_is_written_into_the_bank_alone():
    """The one object that is there is taken for the one that is gone; who was never seen gets no noise."""
    embeddings = torch.randn(1, 3, Q, D, dtype=torch.float64)
    queries = torch.tensor([[[1, -1, 2], [0, 4, 3], [-1, -1, 4]]])
    noisy = Recipe(**{**PAPER, "noise": 1.0, "noise_from": "instances"}).items(embeddings, queries)
    history = [embeddings[0, 0, 1].tolist(), embeddings[0, 1, 4].tolist()]
    assert noisy.positives[0, 0, 2].tolist() == pytest.approx(remembered(history), abs=1e-12)
    assert noisy.valid[0].tolist() == [[False, False, True], [False, True, True], [False, False, False]]
    plain = Recipe(**PAPER).items(embeddings, queries)
    assert torch.equal(plain.anchors, noisy.anchors)
    assert plain.positives[0, 0, 2].tolist() == history[0]


def test_gradients_flow_through_the_bank_unless_they_are_not_to():
    embeddings, queries = random_case()
    for detached in (False, True):
        leaf = embeddings.clone().requires_grad_()
        items = Recipe(**{**PAPER, "detach_keys": detached}).items(leaf, queries)
        assert items.anchors.requires_grad
        assert items.positives.requires_grad == items.negatives.requires_grad == (not detached)


def test_without_an_item_the_losses_are_zero_and_depend_on_the_embeddings():
    for queries in (torch.full((1, 2, 1), 0), torch.full((2, 0, 3), -1), torch.full((1, 1, 3), -1)):
        embeddings = torch.randn(queries.shape[0], queries.shape[2], Q, D, requires_grad=True)
        losses = contrastive_losses(Recipe(**CODE).items(embeddings, queries))
        assert [loss.item() for loss in losses] == [0, 0]
        sum(losses).backward()
        assert not embeddings.grad.any()


def test_queries_of_objects_are_found_again_by_clip_and_frame():
    """Two clips of three frames; an object that is absent, one without a query, and one that must not be found."""
    first = torch.zeros(3, 3, 4, 4, dtype=torch.bool)
    first[0, :, :2], first[1, 1:, 2:] = True, True
    second = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    second[0, 2] = True
    targets = (Targets(torch.tensor([5, 6, NO_OBJECT]), first), Targets(torch.tensor([6]), second))
    frames = targets_by_frame(targets)
    assert [frame.category_ids.tolist() for frame in frames] == [
        [5, NO_OBJECT], [5, 6, NO_OBJECT], [5, 6, NO_OBJECT], [], [], [6],
    ]  # fmt: skip
    assert torch.equal(frames[1].masks[:, 0], first[:, 1])
    matched = torch.tensor([10, 11, 12, 13, 14, 15, -1, 17, 18])
    assert queries_of(matched, targets).tolist() == [
        [[10, 12, 15], [-1, 13, -1], [-1] * 3],
        [[-1, -1, 18], [-1] * 3, [-1] * 3],
    ]


def test_wrong_settings_are_one_line():
    for keys in (dict(negatives="all"), dict(noise_from="x"), dict(noise=2.0), dict(bank_probability=-1)):
        with pytest.raises(UserError, match=rf"segmenter\.criterion\.{next(iter(keys))}: "):
            ContrastiveCriterion(**keys)


def test_the_weights_are_of_the_losses():
    embeddings, queries = torch.randn(1, 3, Q, D), torch.tensor([[[0, 1, 2]]])
    emb, aux = contrastive_losses(Recipe(**{**CODE, "bank_probability": 1.0}).items(embeddings, queries))
    losses = ContrastiveCriterion(bank_probability=1.0).contrast(embeddings, queries)
    assert losses == {"loss_emb": 2 * emb, "loss_aux": 3 * aux}
    assert set(ContrastiveCriterion(aux_weight=0).contrast(embeddings, queries)) == {"loss_emb"}
