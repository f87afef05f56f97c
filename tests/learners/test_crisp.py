"""CRISP: what each of its four parts adds to ECLIPSE, and that without them it is ECLIPSE."""

import itertools
import json
import math
from types import SimpleNamespace

import pytest
import torch
from compared_runs import assert_same_run
from interrupted import Killed, die_at
from mmengine.config import Config
from tiny import settings

from cvis.engine import checkpoint
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.files import shipped
from cvis.learners import build_learner
from cvis.learners.crisp import Crisp
from cvis.learners.crisp_parts.pca import pca_queries
from cvis.learners.eclipse import Eclipse
from cvis.scenario import Task
from cvis.segmenters import build_segmenter
from cvis.segmenters.outputs import Residual
from cvis.types import Category, Clip, Targets

NAMES = {1: "giant_panda", 2: "cat", 3: "train", 4: "owl", 5: "tennis_racket", 6: "boat"}
STEPS = ((1, 2), (3, 4, 5), (6,))
PROMPTS = 4
TEXT = {"model": "tiny", "pretrained": "random"}
PARTS = ("arsp", "isc", "pca_init", "ic")
NO_PARTS = dict.fromkeys(PARTS, False)


def make_task(index):
    old = tuple(itertools.chain(*STEPS[:index]))
    train = SimpleNamespace(categories=tuple(Category(i, name) for i, name in NAMES.items()))
    return Task(index, STEPS[index], old, train, hidden=0)


def make_learner(kind=Crisp, steps=2, **parameters):
    """A learner in the middle of step ``steps - 1``, on a very small segmenter."""
    torch.manual_seed(0)
    config = Config.fromfile(shipped("configs") / "segmenters" / "mask2former_tiny.py").to_dict()["segmenter"]
    config.update(num_queries=6, criterion=dict(num_points=64), class_head="mlp")
    text = {"text_encoder": TEXT} if kind is Crisp else {}
    name = {Crisp: "crisp", Eclipse: "eclipse"}[kind]
    settings = {"type": name, "num_prompts": PROMPTS, **text, **parameters}
    learner = build_learner(settings, build_segmenter(config))
    for index in range(steps):
        torch.manual_seed(index)
        learner.begin_task(make_task(index))
    return learner.train()


def make_clip(step):
    generator = torch.Generator().manual_seed(step)
    frames = torch.randint(0, 256, (2, 2, 3, 32, 48), dtype=torch.uint8, generator=generator)
    masks = torch.zeros(1, 2, 32, 48, dtype=torch.bool)
    masks[:, :, 4:20, 6:30] = True
    target = Targets(torch.tensor([STEPS[step][0]]), masks)
    return Clip(frames, torch.tensor([[32, 48]] * 2), (target, target), ("a", "b"))


def losses_of(learner, step=1, seed=0):
    torch.manual_seed(seed)  # of the sampled points
    return learner.loss(make_clip(step))


def train_through_the_stream(learner, iterations=2):
    history = []
    for step in range(len(STEPS)):
        torch.manual_seed(step)
        learner.begin_task(make_task(step))
        learner.train()
        optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], 1e-3)
        for iteration in range(iterations):
            losses = losses_of(learner, step, iteration)
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
            history.append({name: float(value.detach()) for name, value in losses.items()})
    return history, learner.state_dict()


def test_without_its_parts_it_is_eclipse_bit_for_bit():
    histories, states = zip(
        train_through_the_stream(make_learner(Crisp, 0, **NO_PARTS)),
        train_through_the_stream(make_learner(Eclipse, 0)),
        strict=True,
    )
    assert histories[0] == histories[1]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("on", [(), *((part,) for part in PARTS), PARTS])
def test_each_switch_adds_its_part_and_nothing_else(on):
    learner = make_learner(**{**NO_PARTS, **dict.fromkeys(on, True)})
    plain = make_learner(Eclipse)
    extra = {"isc": {"loss_isc"}, "ic": {"loss_ic"}}
    names = set().union(*(extra.get(part, set()) for part in on))
    assert losses_of(learner).keys() - losses_of(plain).keys() == names
    assert (learner.semantic is not None) == ("arsp" in on or "isc" in on)
    assert bool(learner.describe()) == (learner.semantic is not None)
    same_start = torch.equal(learner.segmenter.group(1).queries, plain.segmenter.group(1).queries)
    assert same_start == ("pca_init" not in on)
    injected = float(losses_of(learner)["loss_cls"].detach()) != float(losses_of(plain)["loss_cls"].detach())
    assert injected == ("arsp" in on or "pca_init" in on)


def test_gradients_reach_the_new_group_its_heads_and_its_contexts_and_nothing_else():
    learner = make_learner(steps=0)
    for step in range(3):
        learner.begin_task(make_task(step))
        learner.train()
    sum(losses_of(learner, 2).values()).backward()
    modules = ("groups.2.mask_head", "class_heads.steps.2", "class_heads.no_object")
    layers = itertools.product(modules, (0, 2, 4), ("weight", "bias"))
    expected = {f"segmenter.{module}.{layer}.{kind}" for module, layer, kind in layers}
    expected |= {"segmenter.groups.2.queries", "segmenter.groups.2.positions", "semantic.contexts.1.weight"}
    assert {name for name, p in learner.named_parameters() if p.grad is not None} == expected
    assert {name for name, p in learner.named_parameters() if p.requires_grad} == expected
    assert learner.semantic.contexts[1].weight.grad.shape == (1, 128)  # one token for the one new class


@pytest.mark.parametrize("part", ["arsp", "isc"])
def test_arsp_and_isc_each_train_the_contexts(part):
    learner = make_learner(**{**NO_PARTS, part: True})
    sum(losses_of(learner).values()).backward()
    assert float(learner.semantic.contexts[0].weight.grad.abs().sum()) > 0


def test_prompts_start_as_principal_directions_of_all_older_queries():
    learner = make_learner(steps=3)
    groups = learner.segmenter.groups
    for index in (1, 2):
        older = torch.cat([group.queries for group in groups[:index]]).detach()
        assert torch.equal(groups[index].queries, pca_queries(older, PROMPTS))
    plain = make_learner(Eclipse, 3)
    assert torch.equal(groups[2].positions, plain.segmenter.groups[2].positions)


def closest(queries, prompts):
    """Equation 1 as the released code has it: the cosine of every pair, in loops."""
    chosen = []
    for q in queries.tolist():
        scores = [sum(a * b for a, b in zip(q, p, strict=True)) / math.hypot(*p) for p in prompts.tolist()]
        chosen.append(scores.index(max(scores)))
    return chosen


@pytest.mark.parametrize("inject", ["before_projection", "after_projection"])
def test_the_prompt_is_the_nearest_of_the_pool_and_goes_into_the_decoder_in_training_only(monkeypatch, inject):
    learner = make_learner(inject=inject)
    seen = []
    decode = learner.segmenter.decoder.forward

    def spy(memory, groups, residual=None, *rest, **named):
        seen.append(residual)
        return decode(memory, groups, residual, *rest, **named)

    monkeypatch.setattr(learner.segmenter.decoder, "forward", spy)
    losses_of(learner)
    pool = learner.semantic().detach()
    assert pool.shape == (3, 64)
    wanted = torch.stack([pool[a] for a in closest(learner.segmenter.group(1).queries, pool)])
    residual = seen.pop()
    torch.testing.assert_close(residual.prompts, wanted)
    assert residual.projected == (inject == "after_projection")
    assert seen == []
    learner.eval()
    with torch.no_grad():
        learner.segmenter.decode_groups(learner.segmenter.features(make_clip(1).frames))
    assert seen == [None]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def test_the_two_losses_are_three_times_their_formulas():
    learner = make_learner()
    losses = losses_of(learner)
    queries, pool = learner.segmenter.group(1).queries.detach().double(), learner.semantic().detach().double()
    chosen = closest(queries, pool)
    isc = 0.0
    for q, a in zip(queries.tolist(), chosen, strict=True):
        s = [sum(x * y for x, y in zip(q, p, strict=True)) for p in pool.tolist()]
        isc += math.log(1 + sum(math.exp(s[j] - s[a]) for j in range(len(s)) if j != a)) / len(queries)
    assert float(losses["loss_isc"].detach()) == pytest.approx(3 * isc, rel=1e-4)

    with torch.no_grad():
        memory = learner.segmenter.features(make_clip(1).frames)
        layers = learner.segmenter.decode_queries(memory, 1, Residual(pool.float()[chosen]))
    base = learner.segmenter.group(0).queries.tolist()
    ic = 0.0
    for layer in layers:  # the queries themselves and three decoder layers
        state = layer.state.double().tolist()
        for b, i, j in itertools.product(range(2), range(PROMPTS), range(PROMPTS)):
            ic += (cosine(state[b][i], state[b][j]) - cosine(base[i], base[j])) ** 2 / (2 * PROMPTS**2)
    assert len(layers) == 4
    assert float(losses["loss_ic"].detach()) == pytest.approx(3 * ic, rel=1e-4)


@pytest.mark.parametrize(("ic", "step0_ic", "own"), [(True, True, True), (True, False, False), (False, True, False)])
def test_orthogonal_base_queries_are_an_option_of_ic(ic, step0_ic, own):
    learner = make_learner(steps=1, ic=ic, step0_ic=step0_ic)
    assert learner.own_step0 == own
    losses = losses_of(learner, 0)
    assert ("loss_ic" in losses) == own
    assert "loss_isc" not in losses
    if own:
        with torch.no_grad():
            memory = learner.segmenter.features(make_clip(0).frames)
            states = [output.state.double().tolist() for output in learner.segmenter.decode_queries(memory)]
        error = sum(
            (cosine(state[b][i], state[b][j]) - (i == j)) ** 2 / (2 * 36)
            for state in states
            for b, i, j in itertools.product(range(2), range(6), range(6))
        )
        assert float(losses["loss_ic"].detach()) == pytest.approx(3 * error, rel=1e-3)
        losses["loss_ic"].backward()
        assert learner.segmenter.group(0).queries.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e4, 1e12])
def test_extreme_queries_give_finite_losses_under_autocast(size):
    learner = make_learner()
    with torch.no_grad():
        learner.segmenter.group(1).queries.mul_(size)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(learner)
    assert torch.isfinite(losses["loss_isc"])
    assert torch.isfinite(losses["loss_ic"])


def test_trainable_parameters_at_full_size():
    """ECLIPSE's 487,429 for a step of four classes, and a context of 512 for each of them."""
    config = Config.fromfile(shipped("configs") / "segmenters" / "mask2former_r50.py").to_dict()["segmenter"]
    config["class_head"] = "mlp"
    learner = Crisp(build_segmenter(config), text_encoder={"model": "ViT-B-32-quickgelu", "pretrained": "random"})
    train = SimpleNamespace(categories=tuple(Category(i, f"class_{i}") for i in range(24)))
    learner.begin_task(Task(0, tuple(range(20)), (), train, 0))
    base = sum(p.numel() for p in learner.parameters())
    learner.begin_task(Task(1, (20, 21, 22, 23), tuple(range(20)), train, 0))
    assert sum(p.numel() for p in learner.parameters() if p.requires_grad) == 489_477
    no_object = 131_841  # trained again in every step, stored once
    assert sum(p.numel() for p in learner.parameters()) - base == 489_477 - no_object
    assert not any(name.startswith("semantic.tower") for name in learner.state_dict())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(num_prompts=6), "learner.num_prompts: 6: 6 old queries of 64 channels have only 5 principal directions"),
        (dict(num_prompts=7, pca_init=False), "learner.ic_target: 'first_block': 7 prompts need as many base queries"),
        (dict(pca_selection="best"), "learner.pca_selection: 'best'"),
        (dict(ic_target="mean"), "learner.ic_target: 'mean'"),
        (dict(matching="euclid"), "learner.matching: 'euclid': not possible; choose 'cosine' or 'dot'"),
        (dict(isc_similarity="euclid"), "learner.isc_similarity: 'euclid': not possible; choose 'cosine' or 'dot'"),
        (
            dict(codebook="words"),
            "learner.codebook: 'words': not possible; choose",
        ),
        (
            dict(inject="after"),
            "learner.inject: 'after': not possible; choose 'before_projection' or 'after_projection'",
        ),
        (dict(context_std=-0.1), "learner.context_std: -0.1: not possible; it should be greater than or equal to 0"),
        (dict(lambda_ic=math.nan), "learner.lambda_ic: nan: not possible; it should be"),
        (dict(text_encoder=dict(model="tiny", pretrained="no.pt")), "learner.text_encoder.pretrained"),
    ],
)
def test_what_is_not_possible_is_refused_before_step_0(wrong, message):
    with pytest.raises(UserError) as caught:
        make_learner(steps=0, **wrong)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def whole(stream, tmp_path_factory):
    """The folder of an undisturbed run on the tiny stream."""
    return run(
        settings(
            stream, tmp_path_factory.mktemp("crisp"), "crisp", "learner.num_prompts=4", "learner.train_no_object=true"
        )
    )


def test_a_run_says_which_text_encoder_it_rests_on_and_stores_none(whole):
    content = json.loads((whole / "run.json").read_text())
    assert content["text_encoder"]["pretrained"] == "random"
    step = checkpoint.load(whole / "step2" / "model.pth")["state"]
    changed = ("groups.2.", "class_heads.steps.2.", "class_heads.no_object.")
    prefixes = (*(f"segmenter.{part}" for part in changed), "semantic.contexts.1.")
    assert [name for name in step if not name.startswith(prefixes)] == []
    assert all(any(name.startswith(prefix) for name in step) for prefix in prefixes)


def test_an_interrupted_run_ends_at_the_same_numbers(stream, tmp_path, monkeypatch, whole):
    die_at(monkeypatch, [(1, 3), (2, 2)])
    config = settings(stream, tmp_path, "crisp", "learner.num_prompts=4", "learner.train_no_object=true")
    for _ in range(2):
        with pytest.raises(Killed):
            run(config)
    assert_same_run(whole, run(config))
