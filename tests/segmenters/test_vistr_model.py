"""VisTR as a whole: what it reads, what it predicts, and whose weights it takes."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from small_vistr import SMALL_VISTR, make_vistr

from cvis.errors import UserError
from cvis.segmenters.init import load_init
from cvis.segmenters.vistr import mask_head
from cvis.types import Video


@pytest.fixture
def video(tmp_path):
    def make(length, height=50, width=70):
        rng = np.random.default_rng(0)
        paths = [tmp_path / f"{index:05d}.png" for index in range(length)]
        for path in paths:
            coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((width, height)).save(path)
        return Video(4, "v", height, width, tuple(paths))

    return make


@torch.no_grad()
def test_padding_is_not_looked_at():
    """Whatever lies in the padding, in the coarsest maps: the queries answer the same."""
    model = make_vistr().eval()
    frames = torch.randint(0, 256, (1, 3, 3, 40, 64), dtype=torch.uint8)
    maps = model.extract(frames, torch.tensor([[24, 48]]))
    answers = []
    for noise in (0.0, 5.0):
        maps.levels[-1][..., 3:, :] += noise
        maps.levels[-1][..., 6:] += noise
        memory = model.encode(maps)
        answer = model.decode_queries(memory)[-1]
        looked = model.mask_head.attention_maps(
            answer.queries.view(1, 3, 4, -1)[:, :, 0], memory.levels[0], memory.valid, torch.tensor([0])
        )
        answers.append((answer.logits, answer.boxes, looked))
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(*answers, strict=True))
    assert memory.extent.tolist() == [[0.75, pytest.approx(0.6)]]
    assert answers[0][2].sum((-1, -2)).flatten().tolist() == pytest.approx([18.0] * 12, rel=1e-5)
    model.input_proj.bias += 1.0
    assert not torch.allclose(model.decode_queries(model.encode(maps))[-1].logits, answers[0][0], atol=1e-5)


def test_masks_of_some_slots_are_those_of_all():
    model = make_vistr().eval()
    memory = model.features(torch.randint(0, 256, (2, 3, 3, 32, 48), dtype=torch.uint8))
    answer = model.with_masks(memory, model.decode_queries(memory)[-1:])[0]
    assert answer.masks.shape == (2, 12, 1, 16, 24)
    some = answer.masks_of(torch.tensor([1, 0, 1]), torch.tensor([3, 2, 0]))
    of_all = answer.masks.view(2, 3, 4, 16, 24)
    for mine, (clip, slot) in zip(some, ((1, 3), (0, 2), (1, 0)), strict=True):
        torch.testing.assert_close(mine, of_all[clip, :, slot], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("length", "soft", "sure"), [(3, False, 0.3), (2, True, 0.001)])
def test_tracks_are_the_plain_recipe(video, length, soft, sure):
    """A vote for the class, a mean for the score, a mask where a slot is sure enough: one slot after the other."""
    clip = video(length)
    model = make_vistr(test=dict(short_side=32, min_probability=sure)).double().eval()
    model.queries.data *= 20  # else slots are too much alike for one to have more than half of a pixel
    model.mask_head.over_time[-1].weight.data *= 50
    model.soft_masks = soft
    tracks = model.predict(clip)
    with torch.no_grad():
        again = [t % length for t in range(3)]
        frames = torch.from_numpy(np.stack([model.inference._reader(3).frames(clip).__next__()[t] for t in again]))
        memory = model.features(frames[None])
        answer = model.with_masks(memory, model.decode_queries(memory)[-1:])[0]
    expected = []
    for slot in range(4):
        queries = [t * 4 + slot for t in range(length)]
        probabilities = [answer.logits[0, q].softmax(-1)[:-1] for q in queries]
        vote = Counter(int(p.argmax()) for p in probabilities).most_common()
        assert len(vote) == 1 or vote[0][1] > vote[1][1]
        masks = []
        for t, p in enumerate(probabilities):
            logits = answer.masks[0, t * 4 : t * 4 + 4]
            large = torch.nn.functional.interpolate(logits.float(), memory.size, mode="bilinear")[..., :32, :45]
            large = torch.nn.functional.interpolate(large, (50, 70), mode="bilinear")[:, 0]
            inside = large.softmax(0)[slot] > 0.5 if soft else large[slot] > 0
            masks.append((inside & (p.max() >= sure)).numpy())
        score = sum(p.max().item() for p in probabilities) / length
        if any(mask.any() for mask in masks):
            expected.append((score, (7, 3, 12)[vote[0][0]], masks))
    expected.sort(key=lambda track: -track[0])
    assert len(tracks) == len(expected) > 0
    for found, score, codes, (wanted, mean, masks) in zip(
        tracks.category_ids, tracks.scores, tracks.segmentations, [(c, s, m) for s, c, m in expected], strict=True
    ):
        assert (found, score) == (wanted, pytest.approx(mean, abs=1e-6))
        decoded = [np.zeros((50, 70), bool) if code is None else coco_mask.decode(code) > 0 for code in codes]
        assert np.mean(np.stack(decoded) != np.stack(masks)) < 1e-3


def test_long_videos_have_a_mask_or_none_for_every_frame(video):
    clip = video(11)
    model = make_vistr(test=dict(short_side=32, top_k=3)).eval()
    tracks = model.predict(clip)
    assert len(tracks) == 3
    assert all(len(codes) == 11 for codes in tracks.segmentations)
    assert list(tracks.scores) == sorted(tracks.scores, reverse=True)
    memory = model.video_features(clip)
    assert [level.shape[:2] for level in (*memory.levels, memory.mask_features)] == [(1, 11)] * 3
    assert [level.shape[2] for level in (*memory.levels, memory.mask_features)] == model.map_channels()
    assert make_vistr(classes=()).eval().predict(clip).scores == ()


def test_proposals_are_slots_and_show_nothing_where_there_is_nothing():
    model = make_vistr().eval()
    frames = torch.randint(0, 256, (1, 2, 3, 32, 48), dtype=torch.uint8)
    memory = model.features(frames)
    answer = model.with_masks(memory, model.decode_queries(memory)[-1:])[0]
    logits = torch.full((3, 4, 4), -9.0)
    logits[..., 3] = 9.0  # nothing, but for slot 1 in both frames, slot 2 in the second, and slot 3 in one not shown
    logits[0, 1] = torch.tensor([2.0, 0.0, 0.0, 0.0])
    logits[1, 1] = torch.tensor([0.0, 2.0, 0.0, 0.0])
    logits[1, 2] = torch.tensor([0.0, 0.0, 3.0, 0.0])
    logits[2, 3] = logits[0, 1]
    answer.__dict__["logits"] = logits.view(1, 12, 4)
    probabilities, masks = model.proposals(answer, memory, (32, 48))[0]
    assert masks.shape == (2, 2, 32, 48)
    means = [(logits[0, 1].softmax(-1) + logits[1, 1].softmax(-1))[:3] / 2, logits[1, 2].softmax(-1)[:3]]
    torch.testing.assert_close(probabilities, torch.stack(means))
    assert masks[1, 0].max() == 0
    assert masks[0].amin() > 0
    weights = torch.rand(2, 12)
    shared = model.per_track(weights).view(2, 3, 4)
    torch.testing.assert_close(shared, weights.view(2, 3, 4).mean(1, keepdim=True).expand(-1, 3, -1))


def test_wrong_settings_are_refused():
    for keys, says in (
        (dict(dim=32), r"segmenter\.dim: 32: must be a multiple of 6"),
        (dict(decoder=dict(layers=1)), r"decoder\.layers: 1: must be at least 2"),
        (dict(test=dict(overlap=3)), r"segmenter\.test\.overlap: 3: must be at least 0 and less than the 3 of a clip"),
        (dict(test=dict(top_k=0)), r"segmenter\.test\.top_k: 0"),
        (dict(mask_head=dict(widths=(8, 8))), r"mask_head\.widths: \(8, 8\): must be 3 numbers"),
    ):
        with pytest.raises(UserError, match=says):
            make_vistr(**keys)
    with pytest.raises(UserError, match=r"clip: frames: 4: this model takes at most 3; set sampling\.num_frames"):
        make_vistr().extract(torch.zeros(1, 4, 3, 32, 48, dtype=torch.uint8))


def test_deformable_convolutions_need_the_compiled_operators(monkeypatch):
    monkeypatch.setattr(mask_head, "has_real_ops", lambda: False)
    deformable = dict(SMALL_VISTR["mask_head"], deformable=True)
    with pytest.raises(UserError, match=r"segmenter\.mask_head\.deformable: True: mmcv's compiled operators are not"):
        make_vistr(mask_head=deformable)
    monkeypatch.setattr(mask_head, "has_real_ops", lambda: True)
    head = make_vistr(mask_head=deformable).mask_head
    assert isinstance(head.blocks[-1][0], mask_head.DeformableConv)
    assert not head.blocks[-1][0].offset.weight.any()  # it begins as a plain one
    assert isinstance(head.blocks[0][0], torch.nn.Conv2d)


FACEBOOK = {
    "backbone.": "backbone.0.body.", "encoder.": "transformer.encoder.", "decoder.": "transformer.decoder.",
    "queries": "query_embed.weight", "box_head.0": "bbox_embed.layers.0", "box_head.2": "bbox_embed.layers.1",
    "box_head.4": "bbox_embed.layers.2", "cross_attn": "multihead_attn", "norms.0": "norm1", "norms.1": "norm2",
    "norms.2": "norm3", "mask_head.q_linear": "bbox_attention.q_linear",
    "mask_head.k_linear": "bbox_attention.k_linear",
}  # fmt: skip
MMDET = {
    "queries": "query_embedding.weight", "input_proj": "neck.convs.0.conv", "linear1": "ffn.layers.0.0",
    "linear2": "ffn.layers.1", "self_attn.": "self_attn.attn.", "cross_attn.": "cross_attn.attn.",
    "decoder.norm.": "decoder.post_norm.", "box_head.0": "bbox_head.reg_ffn.layers.0.0",
    "box_head.2": "bbox_head.reg_ffn.layers.1", "box_head.4": "bbox_head.fc_reg",
}  # fmt: skip


@pytest.mark.parametrize("names", [FACEBOOK, MMDET], ids=["facebookresearch", "mmdet"])
def test_detr_weights_load_where_names_and_shapes_do(names, tmp_path):
    """What does not fit is reported; only a backbone that does not is refused."""
    detr = {}
    for key, value in make_vistr(classes=()).state_dict().items():
        if key.startswith("class_heads.") or (key.startswith("mask_head.") and "_linear" not in key):
            continue
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        detr[key] = torch.rand(value.shape)
    detr["class_embed.weight" if names is FACEBOOK else "bbox_head.fc_cls.weight"] = torch.rand(92, 24)
    path = tmp_path / "detr.pth"
    torch.save({"model": detr}, path)
    model = make_vistr()
    report = load_init(model, path)
    assert all(key.startswith(("class_heads.", "mask_head.")) for key in report.missing)
    assert report.unexpected == ()
    assert torch.equal(model.decoder.layers[1].norms[2].weight, model.renamed(detr)["decoder.layers.1.norms.2.weight"])
    other = make_vistr(dim=48, num_slots=2)
    report = load_init(other, path)
    parts = {key.split(".")[0] for key in report.matched}
    assert {"backbone", "encoder"} <= parts <= {"backbone", "encoder", "decoder", "box_head"}  # their hidden biases
    assert {"queries", "input_proj.weight", "decoder.norm.weight"} <= set(report.missing)
    assert str(report).startswith(f"{len(report.matched)} tensors of {path}; queries (1), input_proj (2), encoder (")
    assert torch.equal(other.backbone.stages[0][0].weight, model.backbone.stages[0][0].weight)
    with pytest.raises(UserError, match=r"backbone\.stages\.0\.0\.weight: shape"):
        load_init(make_vistr(backbone=dict(type="ConvBackbone", widths=(16, 16, 16)), in_channels=(16, 16, 16)), path)
