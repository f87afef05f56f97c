"""Query groups: prompts in the values (equation 2), and groups that never interfere."""

import math

import pytest
import torch
from mmengine.config import Config

from cvis.files import shipped
from cvis.segmenters.mask2former.attention import attend
from cvis.segmenters.mask2former.decoder import Level
from cvis.segmenters.outputs import Residual, select_layers
from cvis.segmenters.registry import build_segmenter


def self_attention(attention, queries, position, prompt, after):
    """Equation 2 for one video, query by query and head by head in float64: Q, K from q + p; V from q + P, or
    from q with P added afterwards."""
    weight, bias = attention.in_proj_weight.double(), attention.in_proj_bias.double()
    dim, heads = queries.shape[1], attention.num_heads
    size = dim // heads
    located, valued = (queries + position).double(), queries.double() + (0 if after else prompt)
    q, k, v = (
        [weight[start : start + dim] @ row + bias[start : start + dim] for row in rows]
        for start, rows in ((0, located), (dim, located), (2 * dim, valued))
    )
    v = [value + p for value, p in zip(v, prompt, strict=True)] if after else v
    out = torch.zeros(queries.shape, dtype=torch.float64)
    for i in range(len(queries)):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = [float(q[i][part] @ other[part]) / math.sqrt(size) for other in k]
            total = sum(math.exp(score) for score in scores)
            for score, other in zip(scores, v, strict=True):
                out[i, part] += math.exp(score) / total * other[part]
    return out @ attention.out_proj.weight.double().T + attention.out_proj.bias.double()


def norm(layer_norm, rows):
    centred = rows - rows.mean(1, keepdim=True)
    scaled = centred / (centred.square().mean(1, keepdim=True) + layer_norm.eps).sqrt()
    return scaled * layer_norm.weight.double() + layer_norm.bias.double()


@pytest.mark.parametrize("after", [False, True])
def test_equation_2(small, after):
    """A whole decoder layer around it: the residual path and the queries of the FFN know the prompt only through V."""
    segmenter = small()
    layer = segmenter.decoder.layers[1].double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    queries, position, prompt = (torch.randn(5, 32).double() for _ in range(3))
    memory, key = (torch.randn(1, 12, 32).double() for _ in range(2))
    allowed = torch.rand(1, 1, 5, 12) > 0.3
    with torch.no_grad():
        projected = layer.project(Level(memory, key, mask_features=None))
        crossed = queries[None] + attend(layer.cross_attn.attn, queries[None] + position, *projected, allowed)
        crossed = norm(layer.norms[0], crossed[0])
        attended = self_attention(layer.self_attn.attn, crossed, position, prompt, after)
        expected = norm(layer.norms[1], crossed + attended)
        expected = norm(layer.norms[2], layer.ffn(expected))
        found = layer(queries[None], position, projected, allowed, Residual(prompt, after))
        unprompted = layer(queries[None], position, projected, allowed, None)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-12)
    assert (found - unprompted).abs().max() > 1e-2


def test_every_layer_is_prompted(small, frames):
    """The prompt enters all layers: with all but one silenced, the answer still depends on it."""
    segmenter = small().eval()
    memory = segmenter.features(frames)
    for lively in range(3):
        saved = [layer.self_attn.attn.out_proj.weight.clone() for layer in segmenter.decoder.layers]
        with torch.no_grad():
            for index, layer in enumerate(segmenter.decoder.layers):
                layer.self_attn.attn.out_proj.weight.mul_(index == lively)
            plain = segmenter.decode_queries(memory)
            prompted = segmenter.decode_queries(memory, residual=Residual(torch.randn(5, 32)))
            for layer, weight in zip(segmenter.decoder.layers, saved, strict=True):
                layer.self_attn.attn.out_proj.weight.copy_(weight)
        moved = [not torch.equal(a.state, b.state) for a, b in zip(plain, prompted, strict=True)]
        assert moved == [index > lively for index in range(4)]


def test_states_are_the_queries_before_the_norm(small, frames):
    segmenter = small().eval()
    layers = segmenter.decode_queries(segmenter.features(frames))
    assert torch.equal(layers[0].state, segmenter.groups[0].queries.expand(2, -1, -1))
    for layer in layers:
        assert torch.equal(segmenter.decoder.post_norm(layer.state), layer.queries)


def test_decoding_all_groups_is_decoding_each(small, frames):
    segmenter = small().eval()
    segmenter.add_query_group(3, step=1)
    segmenter.add_query_group(2, step=2, own_mask_head=False)
    segmenter.add_query_group(3, step=3, fine_masks=True)
    memory = segmenter.features(frames)
    for index, answer in enumerate(segmenter.decode_groups(memory)):
        alone = segmenter.decode(memory, index, "last")[0]
        assert torch.equal(answer.logits, alone.logits)
        assert torch.equal(answer.mask_embeddings, alone.mask_embeddings)


def test_fine_masks_also_read_the_backbones_finest_map(small, frames):
    """What a mask logit gains is an inner product with the map, each pixel normalised; the other groups see none."""
    segmenter = small().eval()
    plain = segmenter.features(frames)
    base = segmenter.decode(plain, 0, "last")[0]
    segmenter.add_query_group(3, step=1, fine_masks=True)
    memory = segmenter.features(frames)
    dim = plain.mask_features.shape[2]
    assert torch.equal(memory.mask_features[:, :, :dim], plain.mask_features)
    assert torch.equal(segmenter.decode(memory, 0, "last")[0].masks, base.masks)

    finest = segmenter.extract(frames).levels[0]
    pixels = (finest - finest.mean(1, keepdim=True)) / (finest.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    answer = segmenter.decode(memory, 1, "last")[0]
    parts = (plain.mask_features, pixels.unflatten(0, frames.shape[:2]))
    read = answer.mask_embeddings.split([dim, finest.shape[1]], -1)
    coarse, fine = (torch.einsum("bqd,btdhw->bqthw", *each) for each in zip(read, parts, strict=True))
    assert fine.abs().max() > 0.1
    torch.testing.assert_close(answer.masks, coarse + fine, atol=1e-5, rtol=1e-4)


def test_with_masks_of_chosen_layers(small, frames):
    segmenter = small().eval()
    memory = segmenter.features(frames)
    layers = segmenter.decode_queries(memory)
    chosen = segmenter.with_masks(memory, select_layers(layers, "first_last"))
    for ours, theirs in zip(chosen, segmenter.decode(memory, 0, "first_last"), strict=True):
        torch.testing.assert_close(ours.masks, theirs.masks)
        assert torch.equal(ours.logits, theirs.logits)


@pytest.fixture(params=["tiny", "small, mlp heads"])
def grown(request, small):
    """A segmenter with two groups, each with classes of its own."""
    torch.manual_seed(0)
    if request.param == "tiny":
        file = shipped("configs") / "segmenters" / "mask2former_tiny.py"
        segmenter = build_segmenter(Config.fromfile(file).to_dict()["segmenter"])
        segmenter.add_classes([7, 3, 12])
    else:
        segmenter = small(class_head="mlp")
    segmenter.add_classes([40, 41], init="no_object")
    segmenter.add_query_group(4, step=1)
    return segmenter.eval()


def answers(segmenter, frames, groups):
    with torch.no_grad():
        memory = segmenter.features(frames)
        return [segmenter.decode(memory, group, "last")[0] for group in groups]


@pytest.mark.parametrize("fine", [False, True])
def test_zero_interference(grown, frames, targets, fine):
    """Adding, training and removing a later group moves no bit of what the others compute."""
    before = answers(grown, frames, (0, 1))

    def unmoved():
        for group, (old, new) in enumerate(zip(before, answers(grown, frames, (0, 1)), strict=True)):
            own = list(grown.class_heads.columns(group))
            assert torch.equal(old.queries, new.queries)
            assert torch.equal(old.masks, new.masks)
            assert torch.equal(old.logits[..., own], new.logits[..., own])

    grown.requires_grad_(False)
    grown.add_classes([50], init="no_object")
    group = grown.add_query_group(3, step=2, fine_masks=fine)
    head = group.mask_head[-1].weight
    before_training = head.detach().clone()
    unmoved()
    grown.class_heads.no_object.requires_grad_(True)
    trained = [parameter for parameter in grown.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, 1e-2)
    start = group.queries.detach().clone()
    only = [type(t)(t.category_ids * 0 + 50, t.masks) for t in targets]
    for _ in range(3):
        optimizer.zero_grad()
        sum(grown.criterion(grown.decode(grown.features(frames), 2), only).values()).backward()
        optimizer.step()
    assert not torch.equal(group.queries, start)
    assert (head != before_training).any(1).all()  # what reads the finest map, too
    unmoved()
    del grown.groups[2], grown.class_heads.steps[2]
    unmoved()


def test_columns_of_a_step(small):
    segmenter = small()
    segmenter.add_classes([40, 41])
    segmenter.add_classes([50])
    heads = segmenter.class_heads
    assert [list(heads.columns(step)) for step in range(3)] == [[0, 1, 2], [3, 4], [5]]


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_head_copied_from_no_object_says_what_it_says(small, kind):
    segmenter = small(class_head=kind)
    before = segmenter.class_heads.no_object.state_dict()
    kept = {name: value.clone() for name, value in before.items()}
    segmenter.add_classes([40, 41], init="no_object")
    queries = torch.randn(6, 32)
    logits = segmenter.class_heads(queries)
    torch.testing.assert_close(logits[:, 3:5], logits[:, 5:].expand(-1, 2))
    assert all(torch.equal(value, kept[name]) for name, value in before.items())
