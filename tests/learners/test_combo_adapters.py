"""CoMBO's adapters: their formula, that untrained ones change nothing, and what learns when."""

import itertools

import plain_distillation as plain
import pytest
import torch
from two_models import begin, disturb, look, losses_of, make_clip, make_learner, make_task

from cvis.learners.combo import AdapterHead, adapter_heads, refined_queries
from cvis.segmenters.heads import ClassHeads
from cvis.types import Video


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_head(dim=5, classes=3, rank=2, trained=True) -> AdapterHead:
    head = AdapterHead(dim, classes, rank).double()
    if trained:
        head.up.data.normal_()
    return head


def refine(head: AdapterHead, index: int, query: list[float]) -> list[float]:
    """U_c relu(D_c q)."""
    hidden = [max(0.0, sum(a * b for a, b in zip(row, query, strict=True))) for row in head.down[index].tolist()]
    return [sum(a * b for a, b in zip(row, hidden, strict=True)) for row in head.up[index].tolist()]


def test_logits_are_the_formula():
    head, queries = make_head(), torch.randn(2, 4, 5, dtype=torch.float64)
    logits = head(queries)
    assert logits.shape == (2, 4, 3)
    for b, q, c in itertools.product(range(2), range(4), range(3)):
        query = queries[b, q].tolist()
        refined = [a + d for a, d in zip(query, refine(head, c, query), strict=True)]
        expected = sum(w * x for w, x in zip(head.weight[c].tolist(), refined, strict=True)) + head.bias[c].item()
        assert logits[b, q, c].item() == pytest.approx(expected, abs=1e-12)


def test_refined_queries_are_the_formula():
    heads = ClassHeads(5).double()
    heads.add(2)
    first, second = heads.add(3, head=make_head()), heads.add(1, head=make_head(classes=1))
    found = adapter_heads(heads)
    assert [(list(columns), head) for columns, head in found] == [([2, 3, 4], first), ([5], second)]
    queries = torch.randn(2, 4, 5, dtype=torch.float64)
    logits = torch.randn(2, 4, 7, dtype=torch.float64)
    refined = refined_queries(found, queries, logits)
    for b, q in itertools.product(range(2), range(4)):
        query, p = queries[b, q].tolist(), plain.probabilities(logits[b, q].tolist())
        expected = list(query)
        for column, (head, index) in enumerate(((first, 0), (first, 1), (first, 2), (second, 0)), start=2):
            expected = [a + p[column] * d for a, d in zip(expected, refine(head, index, query), strict=True)]
        assert refined[b, q].tolist() == pytest.approx(expected, abs=1e-12)


def test_no_gradient_leads_into_the_weights_of_the_sum():
    heads, queries = [(range(3), make_head())], torch.randn(1, 2, 5, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True)
    refined_queries(heads, queries, logits).sum().backward()
    assert logits.grad is None
    assert queries.grad is not None


def test_adapters_pass_a_gradient_check():
    head = make_head()
    queries = torch.randn(1, 2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, queries)
    logits = torch.randn(1, 2, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda q: refined_queries([(range(3), head)], q, logits), queries)


def test_an_untrained_adapter_changes_no_logit_and_no_mask():
    head, queries = make_head(trained=False), torch.randn(2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(head(queries), queries @ head.weight.T + head.bias, rtol=0, atol=1e-12)
    logits = torch.randn(2, 4, 4, dtype=torch.float64)
    assert torch.equal(refined_queries([(range(3), head)], queries, logits), queries)

    learner = make_learner("combo")
    with torch.no_grad():
        memory = learner.segmenter.features(make_clip().frames)
        for mine, plain_ in zip(
            learner.decode(learner.segmenter, memory), learner.segmenter.decode_queries(memory), strict=True
        ):
            torch.testing.assert_close(mine.mask_embeddings, plain_.mask_embeddings, rtol=0, atol=1e-6)
            assert torch.equal(mine.logits, plain_.logits)


@pytest.mark.parametrize("refine_masks", [True, False])
def test_a_trained_adapter_moves_masks_only_if_asked(refine_masks):
    learner = make_learner("combo", refine_masks=refine_masks)
    learner.segmenter.class_heads.steps[1].up.data.normal_()
    with torch.no_grad():
        new, _ = look(learner, make_clip())
        memory = learner.segmenter.features(make_clip().frames)
        original = learner.segmenter.decode_queries(memory)
    moved = (new[-1].mask_embeddings - original[-1].mask_embeddings).abs().max()
    assert (moved > 1e-3) == refine_masks
    for ours, theirs in zip(new, original, strict=True):
        assert torch.equal(ours.queries, theirs.queries)  # those that are distilled stay
        assert torch.equal(ours.logits, theirs.logits)


@pytest.mark.parametrize("freeze", [True, False])
def test_adapters_learn_in_their_own_step(freeze):
    learner = make_learner("combo", 3, freeze_adapters=freeze)
    first, second = (head for _, head in adapter_heads(learner.segmenter.class_heads))
    assert (first.down.requires_grad, first.up.requires_grad) == (not freeze, not freeze)
    assert all(p.requires_grad for p in (first.weight, first.bias, *second.parameters()))
    sum(losses_of(learner, make_clip((50,))).values()).backward()
    assert (first.up.grad is None) == freeze
    assert second.up.grad.abs().sum() > 0
    assert first.weight.grad is not None


def test_step_0_has_plain_heads_and_so_has_every_step_without_adapters():
    assert adapter_heads(make_learner("combo", 1).segmenter.class_heads) == []
    assert adapter_heads(make_learner("combo", 3, adapters=False).segmenter.class_heads) == []
    sizes = [list(columns) for columns, _ in adapter_heads(make_learner("combo", 3).segmenter.class_heads)]
    assert sizes == [[3, 4], [5]]


def test_the_price_of_a_class():
    """2 D r for its adapter and D + 1 for its row."""
    learner, plain_ = make_learner("combo", 2), make_learner("finetune", 1)
    added = sum(p.numel() for p in learner.parameters()) - sum(p.numel() for p in plain_.parameters())
    assert added == 2 * (2 * 32 * 4 + 33)


def test_answers_use_the_masks_of_training(tmp_path):
    from PIL import Image

    paths = [tmp_path / f"{index}.png" for index in range(2)]
    for path, frame in zip(paths, make_clip().frames[0], strict=True):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(path)
    video = Video(4, "v", 32, 48, tuple(paths))
    learner = make_learner("combo").eval()
    plain_ = learner.segmenter.predict(video)
    same = learner.predict(video)
    assert same.category_ids == plain_.category_ids
    assert same.scores == pytest.approx(plain_.scores, abs=1e-6)
    assert same.segmentations == plain_.segmentations
    learner.segmenter.class_heads.steps[1].up.data.normal_()
    assert learner.predict(video).segmentations != learner.segmenter.predict(video).segmentations


def test_a_replayed_stream_has_the_same_shapes_and_the_same_frozen_parts():
    """Resuming replays ``begin_task`` alone, and loads the state."""
    trained, fresh = make_learner("combo", 3), make_learner("combo", 0)
    for index in range(3):
        begin(fresh, index)
    disturb(trained, 9)
    fresh.load_state_dict(trained.state_dict(), strict=True)
    frozen = [{n for n, p in one.named_parameters() if not p.requires_grad} for one in (trained, fresh)]
    assert frozen[0] == frozen[1]
    trained.end_task(make_task(2))
    assert trained.state_dict().keys() == fresh.state_dict().keys()
