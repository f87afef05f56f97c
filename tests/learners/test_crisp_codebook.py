"""CRISP's codebook of semantic prompts: that nothing ties prompt j to class j, the controls, and what is watched."""

import json
import math

import pytest
import torch
from compared_runs import assert_same_run, metrics
from interrupted import Killed, die_at
from mmengine.visualization import Visualizer
from test_crisp import NO_PARTS, STEPS, losses_of, make_learner, make_task, train_through_the_stream
from tiny import settings

from cvis.engine.run import run
from cvis.learners.crisp_parts.semantic import SemanticPrompts
from cvis.learners.crisp_parts.text import TextTower

ITERATIONS = 15


@pytest.fixture(scope="module")
def tower():
    return TextTower("tiny", "random")


def prompts_of(tower, codebook, names):
    torch.manual_seed(5)
    pool = SemanticPrompts(tower, 64, codebook=codebook)
    pool.add_task(names)
    return pool


def train(**settings):
    """Losses of each iteration of the step with three classes, and the state that it ends in."""
    learner = make_learner(steps=2, **settings)
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], 1e-3)
    history = []
    for iteration in range(ITERATIONS):
        losses = losses_of(learner, 1, iteration)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    return history, learner.state_dict()


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"context_std": 0.0},  # contexts that start alike: the names alone are permuted
        {"matching": "dot", "isc_similarity": "cosine", "inject": "after_projection"},
    ],
)
def test_permuting_the_names_within_a_step_changes_nothing(kinds):
    """Rows of the codebook in another order, a name with its context: every loss of every iteration stays, and so do
    all parameters, but for the contexts, which are permuted as their names are."""
    (ours, mine), (theirs, other) = train(**kinds), train(codebook="permuted", **kinds)
    for one, two in zip(ours, theirs, strict=True):
        assert one == pytest.approx(two, rel=1e-5, abs=1e-6)  # of float32
    assert ours[-1]["loss_isc"] != pytest.approx(ours[0]["loss_isc"], rel=0.01)  # it has been trained
    contexts = "semantic.contexts.0.weight"
    torch.testing.assert_close(mine.pop(contexts).roll(-1, 0), other.pop(contexts), rtol=0, atol=1e-5)
    for name in mine:
        torch.testing.assert_close(mine[name], other[name], rtol=0, atol=1e-5)


def test_another_codebook_does_change_something():
    """The test above can fail."""
    assert train()[0][-1] != pytest.approx(train(codebook="random")[0][-1], rel=1e-3)


def test_permuted_names_are_the_names_of_the_next_classes(tower):
    names = ["solid_red_disc", "striped_blue_ring", "dotted_orange_arch"]
    plain, permuted = (prompts_of(tower, kind, names) for kind in ("names", "permuted"))
    torch.testing.assert_close(permuted(), plain()[[1, 2, 0]], rtol=1e-6, atol=1e-6)
    assert permuted.contexts[0].weight.requires_grad


def test_random_prompts_are_as_long_as_the_names_and_point_anywhere(tower):
    names = [f"class {index}" for index in range(60)]
    plain, vectors = prompts_of(tower, "names", names)().tolist(), prompts_of(tower, "random", names)().tolist()
    for one, two in zip(plain, vectors, strict=True):
        assert math.hypot(*one) == pytest.approx(math.hypot(*two), rel=1e-5)
    cosines = []
    for rows in (plain, vectors):
        units = torch.nn.functional.normalize(torch.tensor(rows), dim=1)
        cosines.append((units @ units.T)[~torch.eye(60, dtype=torch.bool)].mean().item())
    assert cosines[0] > 0.5
    assert abs(cosines[1]) < 0.05
    assert prompts_of(tower, "random", names)().tolist() == vectors  # the run's generator alone decides


def test_random_prompts_are_trained_by_both_parts_and_older_ones_kept():
    for part in ("arsp", "isc"):
        learner = make_learner(codebook="random", **{**NO_PARTS, part: True})
        sum(losses_of(learner).values()).backward()
        assert learner.semantic.contexts[0].weight.shape == (3, 64)
        assert learner.semantic.contexts[0].weight.grad.abs().sum() > 0
    learner.begin_task(make_task(2))
    assert [embedding.weight.requires_grad for embedding in learner.semantic.contexts] == [False, True]


def test_no_codebook_is_neither_arsp_nor_isc_bit_for_bit():
    none = train_through_the_stream(make_learner(steps=0, codebook="none"))
    off = train_through_the_stream(make_learner(steps=0, arsp=False, isc=False))
    assert none[0] == off[0]
    assert all(torch.equal(none[1][name], off[1][name]) for name in off[1])
    assert make_learner(codebook="none").describe() == {}


def test_coverage_and_the_isc_term_are_watched():
    learner = make_learner()
    observed = learner.observe()
    queries, pool = learner.segmenter.group(1).queries.double().tolist(), learner.semantic().double().tolist()
    chosen, term = [], 0.0
    for q in queries:
        s = [sum(x * y for x, y in zip(q, p, strict=True)) for p in pool]
        cosines = [dot / math.hypot(*p) for dot, p in zip(s, pool, strict=True)]
        chosen.append(cosines.index(max(cosines)))
        term += math.log(sum(math.exp(other - s[chosen[-1]]) for other in s)) / len(queries)
    assert observed["coverage"] == len(set(chosen)) / len(STEPS[1])
    assert observed["isc"] == pytest.approx(term, rel=1e-5)
    assert 3 * observed["isc"] == pytest.approx(float(losses_of(learner)["loss_isc"].detach()), rel=1e-6)
    with torch.no_grad():
        learner.segmenter.group(1).queries.copy_(learner.semantic()[[0, 0, 2, 2]])
    assert learner.observe()["coverage"] == 2 / 3
    assert make_learner(steps=1).observe() == {}
    assert make_learner(codebook="none").observe() == {}


def test_an_interrupted_run_with_random_prompts_ends_at_the_same_numbers(stream, tmp_path, monkeypatch):
    def configured(root):
        return settings(stream, root, "crisp", "learner.codebook=random", "learner.num_prompts=4")

    logged = set()
    monkeypatch.setattr(Visualizer, "add_scalars", lambda self, scalars, **kinds: logged.update(scalars))
    whole = run(configured(tmp_path / "whole"))
    assert {"step1/lr", "step1/coverage", "step1/isc", "step2/coverage"} <= logged
    assert "step0/coverage" not in logged
    observed = [step["observed"] for step in metrics(whole)["steps"]]
    assert observed[0] == {}
    assert all(set(step) == {"coverage", "isc"} for step in observed[1:])
    assert json.loads((whole / "step1" / "metrics.json").read_text())["observed"] == observed[1]
    die_at(monkeypatch, [(1, 3), (2, 2)])
    for _ in range(2):
        with pytest.raises(Killed):
            run(configured(tmp_path / "broken"))
    assert_same_run(whole, run(configured(tmp_path / "broken")))
