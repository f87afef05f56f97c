"""CTVIS as a segmenter: every frame by itself, videos of any length, checkpoints of other software, all learners."""

import math

import numpy as np
import pytest
import torch
from mmdet_twin import CHANNELS, CLASSES, OURS, copy_class_head, head_config, nowhere
from PIL import Image
from pycocotools import mask as rle_tools

from cvis.errors import UserError
from cvis.segmenters.ctvis import CTVIS
from cvis.segmenters.ctvis.frames import FramePositions
from cvis.segmenters.init import load_init, load_state
from cvis.segmenters.openmmlab import MMDET_MODELS
from cvis.segmenters.registry import build_segmenter
from cvis.types import Targets, Video


@pytest.fixture
def ctvis(small):
    """With logits that name objects, so that there are tracks to follow."""

    def build(**keys):
        model = small(type="ctvis", **{"test": dict(short_side=32), **keys})
        with torch.no_grad():
            for head in (*model.class_heads.steps, model.class_heads.no_object):
                head.weight.mul_(10)
        return model

    return build


@pytest.fixture
def video(tmp_path):
    def make(length=9, height=50, width=70):
        rng = np.random.default_rng(0)
        paths = []
        for index in range(length):
            coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
            paths.append(tmp_path / f"{index:05d}.png")
            Image.fromarray(coarse).resize((width, height)).save(paths[-1])
        return Video(4, "v", height, width, tuple(paths))

    return make


@pytest.mark.parametrize("size", [(3, 5), (4, 4)])
def test_positions_are_sines_of_height_and_width(size):
    """y in the first half of the channels, sine and cosine in turn, (i + 1) / size of a turn, temperature 10000."""
    height, width = size
    found = FramePositions(8)(torch.zeros(1, 1, *size, dtype=torch.bool))
    assert found.shape == (1, 1, 8, *size)
    for row in range(height):
        for column in range(width):
            expected = []
            for at, whole in ((row, height), (column, width)):
                angle = (at + 1) / (whole + 1e-6) * 2 * math.pi
                for k in range(4):
                    expected.append((math.sin, math.cos)[k % 2](angle / 10000 ** (2 * (k // 2) / 4)))
            assert found[0, 0, :, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_detector_of_a_frame_is_mmdets_for_images():
    """Same weights, from a checkpoint of mmdet's image model: same logits and masks in every prediction layer."""
    config = head_config(1, CHANNELS)
    config.update(type="Mask2FormerHead", num_things_classes=CLASSES, num_stuff_classes=0)
    del config["num_classes"], config["num_frames"], config["positional_encoding"]["type"]
    theirs = MMDET_MODELS.build(config).double()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    ours = build_segmenter({**OURS, "type": "ctvis"}).double()
    ours.add_classes(range(CLASSES))
    state = {f"panoptic_head.{key}": value for key, value in theirs.state_dict().items()}
    state |= {f"backbone.{key}": value for key, value in ours.backbone.state_dict().items()}
    report = load_state(ours, state, nowhere())
    assert all(key.startswith(("class_heads.", "decoder.embedding_head.")) for key in report.missing)
    copy_class_head(theirs, ours)
    sides = [(16, 24), (8, 12), (4, 6), (2, 3)]
    maps = [torch.randn(6, width, *side, dtype=torch.float64) for width, side in zip(CHANNELS, sides, strict=True)]
    classes, masks = theirs(maps, None)
    ours.backbone.forward = lambda images: maps
    outputs = ours.decode(ours.features(torch.zeros(2, 3, 3, 64, 96, dtype=torch.uint8)))
    assert len(outputs) == len(classes) == 5
    for output, logits, mask in zip(outputs, classes, masks, strict=True):
        torch.testing.assert_close(output.logits, logits, rtol=0, atol=1e-5)
        torch.testing.assert_close(output.masks[:, :, 0], mask, rtol=0, atol=1e-5)


def test_a_clip_is_its_frames(ctvis, frames, targets):
    """Losses of detection are those of the frames as clips of one; only the contrastive ones see time."""
    model = ctvis().double()
    outputs = model.decode(model.features(frames))
    alone = model.decode(model.features(frames.flatten(0, 1)[:, None]))
    assert outputs[-1].masks.shape == (6, 5, 1, 16, 24)
    torch.testing.assert_close(outputs[-1].masks, alone[-1].masks, rtol=0, atol=1e-9)
    singles = []
    for target in targets:
        for t in range(3):
            seen = target.masks[:, t].flatten(1).any(1)
            singles.append(Targets(target.category_ids[seen], target.masks[seen, t : t + 1]))
    torch.manual_seed(1)
    found = model.criterion(outputs, targets)
    torch.manual_seed(1)
    expected = model.criterion(alone, singles)
    assert set(found) == set(expected)
    for name, value in found.items():
        if name not in ("loss_emb", "loss_aux"):
            torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-9)
    assert found["loss_emb"] > expected["loss_emb"] == 0
    matched = model.matched_to(outputs[-1], targets, [12])  # absent in the first frame of the first clip
    assert matched.sum(1).tolist() == [0, 1, 1, 0, 0, 0]


def test_matching_costs_are_means_over_the_frames_in_which_an_object_is(ctvis, frames, targets):
    model = ctvis().double()
    output = model.decode(model.features(frames))[-1]
    costs = model.matching_costs(output, targets)
    for clip, target in enumerate(targets):
        for n, (category, mask) in enumerate(zip(target.category_ids, target.masks, strict=True)):
            of_frames = []
            for t in range(3):
                if mask[t].any():
                    row = slice(3 * clip + t, 3 * clip + t + 1)
                    single = Targets(category[None], mask[None, t : t + 1])
                    parts = {name: getattr(output, name)[row] for name in vars(output)}
                    of_frames.append(model.matching_costs(type(output)(**parts), [single])[0][:, 0])
            torch.testing.assert_close(costs[clip][:, n], torch.stack(of_frames).mean(0), rtol=0, atol=1e-9)


def test_a_video_is_followed_in_any_window_and_in_the_memory_of_one(ctvis, video, monkeypatch):
    seen, clip, features = [], video(), CTVIS.features

    def watched(self, frames, sizes=None):
        seen.append(frames.shape[1])
        return features(self, frames, sizes)

    monkeypatch.setattr(CTVIS, "features", watched)
    answers = [ctvis(test=dict(short_side=32, window=w)).double().eval().predict(clip) for w in (1, 4, 20)]
    assert seen == [1] * 9 + [4, 4, 1] + [9]
    assert len(answers[0]) > 4
    for answer in answers[1:]:
        assert answer.category_ids == answers[0].category_ids
        assert answer.scores == pytest.approx(answers[0].scores, abs=1e-9)
        assert answer.segmentations == answers[0].segmentations


def test_a_video_of_one_frame_is_the_plain_recipe(ctvis, video):
    """Detections by score without duplicates; score = class probability x mean probability inside the mask."""
    model, clip = ctvis(test=dict(short_side=32, top_k=6)).double().eval(), video(1)
    tracks = model.predict(clip)
    with torch.no_grad():
        output = model.decode(model.features(next(model.inference.frames(clip))[None]))[-1]
        probabilities = output.logits[0].softmax(-1)[:, :-1]
        small = output.masks[0, :, 0] > 0
        kept = []
        for q in probabilities.amax(1).argsort(descending=True).tolist():
            union = [(small[q] & small[k]).sum() / (small[q] | small[k]).sum() for k in kept]
            if probabilities[q].max() > 0.01 and not any(iou > 0.6 for iou in union):
                kept.append(q)
        large = torch.nn.functional.interpolate(output.masks[0], (32, 48), mode="bilinear")[..., :32, :45]
        large = torch.nn.functional.interpolate(large, (50, 70), mode="bilinear").sigmoid()[:, 0]
    pairs = sorted(((probabilities[q, k].item(), q, k) for q in kept for k in range(3)), reverse=True)[:6]
    expected = [(p * large[q][large[q] > 0.5].mean().item(), (7, 3, 12)[k], q) for p, q, k in pairs]
    expected.sort(reverse=True)
    assert tracks.scores == pytest.approx([score for score, _, _ in expected], abs=1e-5)
    assert list(tracks.category_ids) == [category for _, category, _ in expected]
    for (code,), (_, _, q) in zip(tracks.segmentations, expected, strict=True):
        assert np.mean(rle_tools.decode(code) != (large[q] > 0.5).numpy()) < 1e-3


def test_tracks_of_a_training_clip_are_those_of_a_video(ctvis, frames):
    """Each frame of a track is one query's mask; a query whose best is no-object has none."""
    from cvis.types import Clip

    model = ctvis().eval()
    clip = Clip(frames, torch.tensor([[32, 48], [32, 48]]), (), ("a", "b"))
    with torch.no_grad():
        output = model.decode(model.features(frames))[-1]
    proposed = model.clip_tracks(clip)
    assert sum(len(p.probabilities) for p in proposed) > 2
    for b, (probabilities, masks) in enumerate(proposed):
        assert probabilities.shape == (len(masks), 3)
        for t in range(3):
            row = 3 * b + t
            large = torch.nn.functional.interpolate(output.masks[row, :, 0][None], (32, 48), mode="bilinear")[0]
            proposing = (output.logits[row].argmax(-1) < 3).nonzero().squeeze(1).tolist()
            used = []
            for mask in masks[:, t]:
                if mask.any():
                    used += [q for q in proposing if torch.allclose(mask, large[q].sigmoid(), atol=1e-5)]
            assert len(used) == len({*used}) == int(masks[:, t].flatten(1).any(1).sum())


def detectron2_backbone():
    """Our modules and what detectron2 calls them, of a ResNet of two blocks a stage."""
    pairs = [("backbone.conv1", "backbone.stem.conv1"), ("backbone.bn1", "backbone.stem.conv1.norm")]
    for stage in range(1, 5):
        for block in range(2):
            ours, theirs = f"backbone.layer{stage}.{block}", f"backbone.res{stage + 1}.{block}"
            for n in (1, 2):
                pairs += [(f"{ours}.conv{n}", f"{theirs}.conv{n}"), (f"{ours}.bn{n}", f"{theirs}.conv{n}.norm")]
            pairs += [(f"{ours}.downsample.{n}", f"{theirs}.shortcut{norm}") for n, norm in enumerate(("", ".norm"))]
    return pairs


def detectron2_heads():
    """Likewise, of pixel decoder and decoder."""
    pairs = []
    ours, theirs = "pixel_decoder", "sem_seg_head.pixel_decoder"
    for n in range(3):
        pairs += [(f"{ours}.input_convs.{n}.{x}", f"{theirs}.input_proj.{n}.{k}") for k, x in enumerate(("conv", "gn"))]
    for x, y in (("lateral_convs", "adapter"), ("output_convs", "layer")):
        pairs += [(f"{ours}.{x}.0.conv", f"{theirs}.{y}_1"), (f"{ours}.{x}.0.gn", f"{theirs}.{y}_1.norm")]
    feed = (("ffn.layers.0.0", "linear1"), ("ffn.layers.1", "linear2"))
    for n in range(2):
        for x, y in (("norms.0", "norm1"), ("norms.1", "norm2"), *feed, ("self_attn", "self_attn")):
            pairs.append((f"{ours}.encoder.layers.{n}.{x}", f"{theirs}.transformer.encoder.layers.{n}.{y}"))
    pairs += [(f"{ours}.mask_feature", f"{theirs}.mask_features")]
    head = "sem_seg_head.predictor"
    for n in range(4):
        for kind, (x, place) in {
            "cross_attention": ("cross_attn.attn", "multihead_attn"), "self_attention": ("self_attn.attn", "self_attn"),
        }.items():  # fmt: skip
            pairs.append((f"decoder.layers.{n}.{x}", f"{head}.transformer_{kind}_layers.{n}.{place}"))
        for k, kind in enumerate(("cross_attention", "self_attention", "ffn")):
            pairs.append((f"decoder.layers.{n}.norms.{k}", f"{head}.transformer_{kind}_layers.{n}.norm"))
        pairs += [(f"decoder.layers.{n}.{x}", f"{head}.transformer_ffn_layers.{n}.{y}") for x, y in feed]
    pairs += [(f"groups.0.mask_head.{2 * n}", f"{head}.mask_embed.layers.{n}") for n in range(3)]
    return [*pairs, ("decoder.post_norm", f"{head}.decoder_norm")]


def detectron2_state(model):
    """The weights of ours as a checkpoint of detectron2's Mask2Former for images of 80 classes."""
    state, head = model.state_dict(), "sem_seg_head.predictor"
    found = {
        "sem_seg_head.pixel_decoder.transformer.level_embed": state["pixel_decoder.level_encoding.weight"],
        f"{head}.level_embed.weight": state["decoder.level_embed"],
        f"{head}.query_feat.weight": state["groups.0.queries"],
        f"{head}.query_embed.weight": state["groups.0.positions"][0],
        f"{head}.class_embed.weight": torch.zeros(81, 64),
        "criterion.empty_weight": torch.ones(81),
    }
    for ours, theirs in (*detectron2_backbone(), *detectron2_heads()):
        for key, value in state.items():
            if key.startswith(f"{ours}.") and not key.endswith("num_batches_tracked"):
                found[f"{theirs}{key.removeprefix(ours)}"] = value
    return found


def test_detectron2_checkpoints_load_and_what_is_missing_is_reported(tmp_path):
    """Every weight lands where it was taken from; the report names the heads that a detector of images has not."""
    trained = build_segmenter({**OURS, "type": "ctvis"})
    with torch.no_grad():
        for value in trained.parameters():
            value.normal_()
    torch.save({"model": detectron2_state(trained)}, tmp_path / "d2.pth")
    fresh = build_segmenter({**OURS, "type": "ctvis"})
    fresh.add_classes([1, 2])
    report = load_init(fresh, tmp_path / "d2.pth")
    left = [key for key in report.missing if not key.endswith("num_batches_tracked")]
    assert {key.rpartition(".")[0] for key in left} == {
        "class_heads.steps.0", "class_heads.no_object", *(f"decoder.embedding_head.{n}" for n in (0, 2, 4)),
    }  # fmt: skip
    assert report.unexpected == ("loss_cls.class_weight",)
    loaded, source = fresh.state_dict(), trained.state_dict()
    assert len(report.matched) > 150
    assert all(torch.equal(loaded[key], source[key]) for key in report.matched)


def test_wrong_test_settings_are_one_line(ctvis):
    for keys in (dict(cached=0), dict(match_threshold=2), dict(windows=3)):
        with pytest.raises(UserError, match=rf"segmenter\.test.*{next(iter(keys))}"):
            ctvis(test=keys)
