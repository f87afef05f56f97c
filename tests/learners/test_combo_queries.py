"""CoMBO's queries: which adapter refines which, that both sets pass the last layer as they would alone, what learns."""

import itertools

import pytest
import torch
from PIL import Image
from two_models import begin, disturb, look, losses_of, make_clip, make_learner, make_task

from cvis.learners.combo import Adapters
from cvis.segmenters.mask2former.decoder import allowed_pixels
from cvis.types import Video


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_combo(steps=3, trained=True, **keys):
    """In float64, with adapters that do something, and queries that are taken for all sorts of classes."""
    learner = make_learner("combo", steps, **keys).double()
    with torch.no_grad():
        for adapters in learner.adapters if trained else ():
            adapters.up.normal_()
        for segmenter in (learner.segmenter, *([learner.teacher.segmenter] if learner.teacher else [])):
            for head in (*segmenter.class_heads.steps, segmenter.class_heads.no_object):
                head.weight.mul_(30)
    return learner


def prediction_layers(segmenter, clip):
    """The decoder's states and logits, without any refinement."""
    memory = segmenter.features(clip.frames)
    return memory, segmenter.decode_queries(memory)


def refine(query: list[float], down, up) -> list[float]:
    """Q + Q W1 W2, with W1 [D, r] and W2 [r, D] as nested lists."""
    hidden = [sum(q * down[d][r] for d, q in enumerate(query)) for r in range(len(up))]
    return [q + sum(h * up[r][d] for r, h in enumerate(hidden)) for d, q in enumerate(query)]


@torch.no_grad()
def test_a_query_is_refined_by_the_adapter_of_the_class_it_is_taken_for():
    """Classes 0 to 2 are step 0's, 3 and 4 step 1's, 5 step 2's, 6 is no-object."""
    learner = make_combo()
    _, layers = prediction_layers(learner.segmenter, make_clip())
    before = layers[-2]
    found = learner.refined(learner.segmenter, before)
    adapter = {3: (0, 0), 4: (0, 1), 5: (1, 0)}
    taken = []
    for b, n in itertools.product(range(2), range(6)):
        logits, query = before.logits[b, n].tolist(), before.state[b, n].tolist()
        best = max(range(7), key=lambda c: logits[c])
        taken.append(best)
        if best not in adapter:
            assert found[b, n].tolist() == query
            continue
        step, own = adapter[best]
        expected = refine(query, learner.adapters[step].down[own].tolist(), learner.adapters[step].up[own].tolist())
        assert found[b, n].tolist() == pytest.approx(expected, abs=1e-12)
        assert found[b, n].tolist() != pytest.approx(query, abs=1e-3)
    assert set(taken) & {0, 1, 2, 6}
    assert set(taken) & {3, 4, 5}


def test_every_class_and_every_row_of_adapters_is_the_formula():
    adapters, queries = Adapters(5, 3, 2).double(), torch.randn(2, 4, 5, dtype=torch.float64)
    adapters.up.data.normal_()
    classes = torch.tensor([[-2, 0, 1, 2], [3, 2, 0, 9]])
    added = adapters(queries, classes)
    for b, n in itertools.product(range(2), range(4)):
        query, c = queries[b, n].tolist(), int(classes[b, n])
        expected = refine(query, adapters.down[c].tolist(), adapters.up[c].tolist()) if 0 <= c < 3 else query
        assert (queries + added)[b, n].tolist() == pytest.approx(expected, abs=1e-12)
    assert torch.autograd.gradcheck(lambda q: adapters(q, classes), queries.requires_grad_())


@torch.no_grad()
def test_both_sets_pass_the_last_layer_as_each_would_alone():
    """The layer by hand, once for each set, both inside the masks of the layer before."""
    learner = make_combo()
    segmenter = learner.segmenter
    memory, layers = prediction_layers(segmenter, make_clip())
    decoder, group, before = segmenter.decoder, segmenter.group(0), layers[-2]
    last = len(decoder.layers) - 1
    level = decoder._level(memory, last % len(memory.levels))
    allowed = allowed_pixels(before.mask_embeddings, level.mask_features)
    seen = decoder.layers[last].project(level)
    refined = learner.refined(segmenter, before)
    assert (refined - before.state).abs().max() > 0.1
    alone = [decoder.layers[last](q, group.position(last), seen, allowed, None) for q in (before.state, refined)]
    torch.testing.assert_close(alone[0], layers[-1].state, rtol=0, atol=1e-12)

    answer = learner.decode(segmenter, memory)
    assert len(answer) == len(layers)
    for ours, theirs in zip(answer[:-1], layers[:-1], strict=True):
        for name, value in vars(theirs).items():
            assert torch.equal(getattr(ours, name), value)
    normed = [decoder.post_norm(state) for state in alone]
    expected = dict(
        state=alone[0],
        queries=normed[1],
        logits=segmenter.class_heads(normed[1]),
        mask_embeddings=group.mask_head(normed[1]),
    )
    for name, value in expected.items():
        torch.testing.assert_close(getattr(answer[-1], name), value, rtol=0, atol=1e-11)
    assert (answer[-1].logits - layers[-1].logits).abs().max() > 1e-3
    assert (answer[-1].mask_embeddings - layers[-1].mask_embeddings).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 2])
def test_without_adapters_or_with_untrained_ones_the_model_is_the_plain_one(steps):
    learner = make_combo(steps, trained=False)
    memory, layers = prediction_layers(learner.segmenter, make_clip())
    for ours, theirs in zip(learner.decode(learner.segmenter, memory), layers, strict=True):
        for name, value in vars(theirs).items():
            torch.testing.assert_close(getattr(ours, name), value, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_teacher_reads_its_own_steps_adapters_and_starts_as_the_student():
    learner = make_combo(3, trained=False)
    learner.adapters[0].up.normal_()
    learner.segmenter.class_heads.steps[-1].bias.fill_(-1e6)  # no query is of the new class
    new, old = look(learner, make_clip())
    _, plain = prediction_layers(learner.teacher.segmenter, make_clip())
    assert (old.layers[-1].logits - plain[-1].logits).abs().max() > 1e-3
    for ours, theirs in zip(new, old.layers, strict=True):
        torch.testing.assert_close(ours.state, theirs.state, rtol=0, atol=1e-12)
        torch.testing.assert_close(ours.logits[..., [0, 1, 2, 3, 4, -1]], theirs.logits, rtol=0, atol=1e-11)
        torch.testing.assert_close(ours.mask_embeddings, theirs.mask_embeddings, rtol=0, atol=1e-11)


def test_embeddings_of_queries_and_older_adapters_stay_to_the_last_bit():
    learner = make_learner("combo", 3)
    with torch.no_grad():
        learner.adapters[1].up.normal_()
    frozen = ("groups.0.queries", "groups.0.positions", "adapters.0.", "segmenter.backbone.", "query_importance")
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    groups = learner.param_groups()
    optimizer = torch.optim.AdamW([dict(params=g["params"]) for g in groups], lr=0.1, weight_decay=0.05)
    assert {group["lr_mult"] for group in groups} == {0.5}
    with torch.no_grad():
        learner.segmenter.class_heads.steps[-1].bias += 50  # queries are of the new class: its adapter is at work
    before["segmenter.class_heads.steps.2.bias"] += 50
    sum(losses_of(learner, make_clip((50,))).values()).backward()
    assert learner.adapters[1].down.grad.abs().sum() > 0
    optimizer.step()
    moved = {name for name, value in learner.state_dict().items() if not torch.equal(value, before[name])}
    assert not [name for name in moved if any(part in name for part in frozen)]
    assert {name for name in before if name not in moved} == {n for n in before if any(part in n for part in frozen)}
    assert {"adapters.1.down", "adapters.1.up", "segmenter.class_heads.steps.0.weight"} <= moved


def test_step_0_learns_its_embeddings_and_has_no_adapters():
    learner = make_learner("combo", 1)
    assert all(p.requires_grad for p in learner.parameters())
    assert len(learner.adapters) == 0
    assert len(make_learner("combo", 3, rank=0).adapters) == 0


def test_the_price_of_a_class():
    """2 D r for its adapter, beside the D + 1 of its row; 8,192 at D = 256 and r = 16."""
    learner, plain = make_learner("combo", 2), make_learner("finetune", 2)
    added = sum(p.numel() for p in learner.parameters()) - sum(p.numel() for p in plain.parameters())
    assert added == 2 * (2 * 32 * 4)
    assert sum(p.numel() for p in Adapters(256, 1, 16).parameters()) == 8192


def test_a_step_of_one_class_learns():
    learner = make_learner("combo", 3)
    assert learner.adapters[1].down.shape == (1, 32, 4)
    losses = losses_of(learner, make_clip((50,)))
    assert all(torch.isfinite(value) for value in losses.values())


def test_tracks_are_those_of_the_refined_queries(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(2)]
    for path, frame in zip(paths, make_clip().frames[0], strict=True):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(path)
    video = Video(4, "v", 32, 48, tuple(paths))
    learner = make_combo().eval()
    answers = []
    original = learner.segmenter.predict
    learner.segmenter.predict = lambda video, read: original(
        video, lambda m: (answers.append((m, read(m))), read(m))[1]
    )
    tracks = learner.predict(video)
    ((memory, (answer,)),) = answers
    with torch.no_grad():
        trained = learner.decode(learner.segmenter, memory)[-1]
    torch.testing.assert_close(answer.mask_embeddings, trained.mask_embeddings[0], rtol=0, atol=1e-11)
    torch.testing.assert_close(answer.scores, trained.logits[0].softmax(-1)[:, :-1], rtol=0, atol=1e-11)
    plain = original(video)
    assert (tracks.scores, tracks.segmentations) != (plain.scores, plain.segmentations)


def test_a_replayed_stream_has_the_same_shapes_and_the_same_frozen_parts():
    """Resuming replays ``begin_task`` alone, and loads the state."""
    trained, fresh = make_learner("combo", 3), make_learner("combo", 0)
    for index in range(3):
        begin(fresh, index)
    disturb(trained, 9)
    trained.query_importance.uniform_()
    fresh.load_state_dict(trained.state_dict(), strict=True)
    assert torch.equal(fresh.query_importance, trained.query_importance)
    frozen = [{n for n, p in one.named_parameters() if not p.requires_grad} for one in (trained, fresh)]
    assert frozen[0] == frozen[1]
    trained.end_task(make_task(2))
    assert trained.state_dict().keys() == fresh.state_dict().keys()
