"""ARSP, eq. 1 and ISC against plain float64 loops and against open_clip's own text pass."""

import math

import pytest
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import tokenize
from torch import nn

from cvis.errors import UserError
from cvis.learners.base import Learner
from cvis.learners.crisp_parts.semantic import SemanticPrompts, consistency_loss, match_prompts
from cvis.learners.crisp_parts.text import TINY, TextTower

NAMES = ["giant_panda", "cat", "earless_seal"]


@pytest.fixture(scope="module")
def tower():
    return TextTower("tiny", "random")


def pool(tower, *tasks, dim=64, std=0.02):
    torch.manual_seed(3)
    prompts = SemanticPrompts(tower, dim, std)
    for names in tasks:
        prompts.add_task(names)
    return prompts


def pairs(seed, n=7, c=4, d=16, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(size, d, generator=generator) for size in (n, c)]


def slow_similarity(q, p, kind):
    q, p = q.double().tolist(), p.double().tolist()
    dot = lambda a, b: sum(x * y for x, y in zip(a, b, strict=True))  # noqa: E731
    scale = (lambda a, b: math.sqrt(dot(a, a) * dot(b, b))) if kind == "cosine" else (lambda a, b: 1.0)
    return [[dot(a, b) / scale(a, b) for b in p] for a in q]


def slow_loss(s, assignment):
    total = 0.0
    for row, a in zip(s, assignment, strict=True):
        total += math.log(1 + sum(math.exp(row[j] - row[a]) for j in range(len(row)) if j != a))
    return total / len(s)


@pytest.mark.parametrize("kind", ["cosine", "dot"])
@pytest.mark.parametrize("seed", range(5))
def test_matching_and_loss_are_those_of_the_plain_statement(kind, seed):
    q, p = pairs(seed)
    s = slow_similarity(q, p, kind)
    assignment = match_prompts(q, p, kind)
    assert assignment.tolist() == [row.index(max(row)) for row in s]
    for other in (assignment, torch.randint(0, len(p), (len(q),))):  # the loss takes any assignment
        assert consistency_loss(q, p, other, kind).item() == pytest.approx(slow_loss(s, other.tolist()), rel=1e-5)


def test_the_papers_norms_leave_the_argmax_of_dot_products_and_cosine_differs():
    q, p = torch.tensor([[1.0, 0.2]]), torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    frobenius = (q @ p.T) / (q.norm() * p.norm())
    assert match_prompts(q, p, "dot").tolist() == frobenius.argmax(dim=1).tolist() == [1]
    assert match_prompts(q, p, "cosine").tolist() == match_prompts(q, p).tolist() == [0]


def test_a_hand_made_loss():
    q, p = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    own = consistency_loss(q, p, torch.tensor([0]))
    assert own.item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert consistency_loss(q, p, torch.tensor([1])).item() == pytest.approx(math.log(1 + math.exp(2)))


def test_one_class_alone_costs_nothing():
    q, p = pairs(0, c=1)
    q.requires_grad_()
    loss = consistency_loss(q, p, match_prompts(q, p))
    assert loss.item() == 0.0
    loss.backward()
    assert q.grad.abs().max() == 0


@pytest.mark.parametrize("kind", ["cosine", "dot"])
@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [torch.float16, torch.bfloat16])
def test_extreme_embeddings_stay_finite_under_autocast(kind, stored, autocast):
    q, p = (x.sign().mul(1e4).to(stored).requires_grad_() for x in pairs(1, d=256))
    with torch.autocast("cpu", dtype=autocast):
        loss = consistency_loss(q, p, torch.zeros(len(q), dtype=torch.long), kind)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert loss > 0
    loss.backward()
    assert torch.isfinite(q.grad).all()
    assert torch.isfinite(p.grad).all()


def test_an_unknown_similarity_is_refused():
    with pytest.raises(UserError, match="'euclid': is not known; choose cosine or dot"):
        match_prompts(*pairs(0), "euclid")


def test_prompts_are_open_clips_features_with_the_context_in_place_of_x(tmp_path):
    """X's own embedding is overwritten by the learned one; then open_clip runs the whole sentence, 77 tokens long."""
    torch.manual_seed(7)
    vision = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
    clip = CLIP(TINY["embed_dim"], vision_cfg=vision, text_cfg=TINY["text_cfg"]).eval()
    torch.save(clip.state_dict(), tmp_path / "clip.pt")
    prompts = pool(TextTower("tiny", str(tmp_path / "clip.pt")), NAMES, dim=32, std=1.0)
    found = prompts()
    assert found.shape == (3, 32)
    for i, name in enumerate(NAMES):
        tokens = tokenize([f"X {name}."])
        with torch.no_grad():
            clip.token_embedding.weight[tokens[0, 1]] = prompts.contexts[-1].weight[i]
            feature = clip.encode_text(tokens)
        torch.testing.assert_close(found[i], nn.AvgPool1d(4)(feature)[0], atol=1e-5, rtol=0)


def test_x_is_one_token_whatever_the_name(tower):
    tokens, ends = tower.tokenize(["X giant_panda.", "X x.", "X 3d-printer."])
    plain, _ = tower.tokenize(["X"])
    assert {row[1] for row in tokens} == {plain[0][1]}
    assert min(ends) >= 4


def test_gradients_reach_the_queries_and_the_newest_contexts_and_nothing_else(tower):
    prompts = pool(tower, NAMES, ["boat", "truck"])
    queries = torch.randn(10, 64, requires_grad=True)
    current = prompts()
    assert current.shape == (2, 64)
    consistency_loss(queries, current, match_prompts(queries, current)).backward()
    assert queries.grad.abs().sum() > 0
    moved = [n for n, p in prompts.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert moved == ["contexts.1.weight"]
    assert [n for n, p in prompts.named_parameters() if p.requires_grad] == ["contexts.1.weight"]
    assert prompts.contexts[1].weight.grad.abs().sum(dim=1).min() > 0  # each class its own


def test_the_state_is_the_contexts_alone_and_rebuilds_the_prompts(tower):
    trained = pool(tower, NAMES, ["boat"])
    state = trained.state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        "contexts.0.weight": (3, tower.width),
        "contexts.1.weight": (1, tower.width),
    }
    torch.manual_seed(99)
    again = SemanticPrompts(TextTower("tiny", "random"), 64)
    for names in (NAMES, ["boat"]):
        again.add_task(names)
    assert not torch.equal(again(), trained())
    again.load_state_dict(state)
    assert torch.equal(again(), trained())


def test_contexts_land_where_the_tower_is():
    prompts = SemanticPrompts(TextTower("tiny", "random"), 64).to("meta")
    prompts.add_task(["cat", "owl"])
    assert prompts().device.type == "meta"


def test_contexts_start_at_the_scale_asked_for_and_are_not_decayed(tower):
    names = [f"class {i}" for i in range(40)]
    assert pool(tower, names).contexts[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    prompts = pool(tower, names, std=1.0)
    assert prompts.contexts[0].weight.std().item() == pytest.approx(1.0, rel=0.05)
    (group,) = Learner(prompts).param_groups()
    assert [tuple(p.shape) for p in group["params"]] == [(40, tower.width)]
    assert group["decay_mult"] == 0.0


def test_autocast_gives_prompts_in_full_precision(tower):
    prompts = pool(tower, NAMES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = prompts()
    assert low.dtype == torch.float32
    low.sum().backward()
    assert torch.isfinite(prompts.contexts[0].weight.grad).all()
    torch.testing.assert_close(low, prompts(), atol=0.1, rtol=0.05)


def test_features_that_do_not_pool_to_the_segmenters_width_are_refused(tower):
    with pytest.raises(UserError, match="'tiny': its 128 features are not a multiple of the segmenter's 256"):
        SemanticPrompts(tower, 256)
