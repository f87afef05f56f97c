"""The space-time pyramid as a whole: what it says of pixels, what it predicts, and whose weights it takes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from small_pyramid import make_pyramid
from tiny import noise_video

from cvis.errors import UserError
from cvis.segmenters.init import load_init
from cvis.segmenters.stitching import Stitcher, windows


@torch.no_grad()
def test_what_is_said_of_a_pixel(frames):
    """Heads on the features, then resized, then bent: a place in the frame plus an offset of at most one unit."""
    model = make_pyramid(output_stride=1).eval()
    memory = model.features(frames)
    assert memory.mask_features.shape == (2, 3, 8, 16, 24)
    (pixels,) = model.answers(memory)
    assert pixels.logits.shape == (2, 3 * 32 * 48, 4)
    large = F.interpolate(memory.mask_features.flatten(0, 1), (32, 48), mode="bilinear", align_corners=False)
    large = large.unflatten(0, (2, 3)).movedim(2, -1)  # the paper resizes the features
    pixel = (slice(None), 2, 10, 20)
    index = 2 * 32 * 48 + 10 * 48 + 20
    said = large[pixel] @ model.head.weight.T + model.head.bias
    wanted = (said[:, :4] / 4).tanh()
    wanted[:, 0] += 10.5 / 24
    wanted[:, 1] += 20.5 / 24
    torch.testing.assert_close(pixels.embeddings[:, :, index], wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pixels.bandwidths[:, :, index], said[:, 4:6], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pixels.heat[:, index], said[:, 6].sigmoid(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pixels.logits[:, index], model.class_heads(large[pixel]), rtol=1e-4, atol=1e-5)
    variances = pixels.variances[:, :, index]
    torch.testing.assert_close(variances[:, :2], 1 / (10 * said[:, 4:6].exp()), rtol=1e-4, atol=1e-5)
    assert variances[:, 2:].unique().tolist() == pytest.approx([0.09])
    (free,) = make_pyramid(embedding_mode="ffff", background_channel=False).answers(memory)
    assert free.bandwidths.shape == free.embeddings.shape == (2, 4, 3 * 16 * 24)
    assert free.embeddings.abs().max() < 1
    assert free.logits.shape[2] == 3


def test_both_class_losses_teach_what_they_should(frames, targets):
    """Every parameter learns either way; with a background, a method may put its own loss in the place of ours."""
    seen = []

    def classify(logits, columns, weight):
        seen.append((logits.shape, columns, weight))
        return 0 * logits.sum()

    for background in (True, False):
        model = make_pyramid(background_channel=background, criterion=dict(no_object_weight=0.5))
        outputs = model.answers(model.features(frames))
        sum(model.criterion(outputs, targets).values()).backward()
        assert hasattr(model.class_heads, "no_object") == background
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        if background:
            model.criterion(outputs, targets, classify)
    ((shape, columns, weight),) = seen
    assert (shape, weight) == ((2, 3 * 16 * 24, 4), 0.5)
    assert [row.unique().tolist() for row in columns] == [[1, 2, 3], [0, 3]]
    with pytest.raises(UserError, match=r"targets: category_ids: \[99\]: not among the classes learned so far"):
        model.criterion(outputs, [replace(t, category_ids=t.category_ids * 0 + 99) for t in targets])


def decoded(codes):
    return np.stack([np.zeros((32, 48), bool) if code is None else coco_mask.decode(code) > 0 for code in codes])


@torch.no_grad()
def test_tracks_are_the_plain_recipe(tmp_path):
    """Windows of four that share two; clusters of each; stitched whatever their class; one class for the whole."""
    video = noise_video(tmp_path, 7, 15.0)
    model = make_pyramid(clustering=dict(min_heat=0.0, most=3)).eval()
    model.head.weight *= 30  # else all pixels are one cluster
    tracks = model.predict(video)
    stitcher, spans = Stitcher(0.1), list(windows(7, 4, 2))
    assert spans == [(0, 4), (2, 6), (3, 7)]
    for start, end in spans:
        part = replace(video, frames=video.frames[start:end])
        memory = model.features(next(model.inference._reader(4).frames(part))[None])
        (pixels,) = model.answers(memory)
        clusters = model.clustering(pixels, 0)
        scores = clusters.heat[:, None] * clusters.logits.softmax(-1)[:, :-1]
        assert len(scores) == 3
        masks = F.interpolate(clusters.masks, (32, 48), mode="bilinear", align_corners=False) > 0.5
        stitcher.add(start, end, _found(start, scores, masks.numpy()))
    expected = []
    for found in stitcher.found:
        rows = [score for score, mask in zip(found.scores, found.masks, strict=True) if mask is not None]
        mean = torch.stack(rows).mean(0)
        behind = 7 - found.start - len(found.masks)
        masks = [*[None] * found.start, *found.masks, *[None] * behind]
        expected.append((mean.max().item(), (7, 3, 12)[mean.argmax()], decoded(masks)))
    expected.sort(key=lambda track: -track[0])
    assert 3 <= len(expected) == len(tracks)
    for score, category, codes, (wanted, named, masks) in zip(
        tracks.scores, tracks.category_ids, tracks.segmentations, expected, strict=True
    ):
        assert (score, category) == (pytest.approx(wanted), named)
        np.testing.assert_array_equal(decoded(codes), masks)
    assert make_pyramid(classes=()).eval().predict(video).scores == ()


def _found(start, scores, masks):
    from cvis.data.rle import encode
    from cvis.segmenters.stitching import Found

    tracks = [[encode(frame) for frame in track] for track in masks]
    kept = [(score, track) for score, track in zip(scores, tracks, strict=True) if any(track)]
    return [Found(start, 0, [score] * len(track), track) for score, track in kept]


@torch.no_grad()
def test_memory_of_a_long_video_is_that_of_a_window(tmp_path, monkeypatch):
    model = make_pyramid().eval()
    seen = []
    original = model.features
    monkeypatch.setattr(model, "features", lambda frames: seen.append(frames.shape[1]) or original(frames))
    tracks = model.predict(noise_video(tmp_path, 31, 0.0))
    assert max(seen) == 4
    assert len(seen) == 15
    assert all(len(codes) == 31 for codes in tracks.segmentations)


@torch.no_grad()
def test_clip_tracks_are_the_clusters(frames):
    """What pseudo-labels are made of: at the clip's size, without its padding."""
    model = make_pyramid(clustering=dict(min_heat=0.0, most=2)).eval()
    clip = type("Clip", (), dict(frames=frames[..., :30, :45], sizes=torch.tensor([[30, 45], [30, 45]])))
    for row, found in enumerate(model.clip_tracks(clip)):
        clusters = model.clustering(model.answers(model.features(clip.frames, clip.sizes))[0], row)
        assert found.masks.shape == (len(clusters.heat), 3, 30, 45)
        probabilities = clusters.heat[:, None] * clusters.logits.softmax(-1)[:, :3]
        torch.testing.assert_close(found.probabilities, probabilities)
        large = F.interpolate(clusters.masks, (32, 48), mode="bilinear", align_corners=False)
        torch.testing.assert_close(found.masks, large[..., :30, :45])


def test_wrong_settings_are_refused():
    for keys, says in (
        (dict(embedding_mode="xyz"), r"segmenter\.embedding_mode: 'xyz': unknown; use xyff or ffff"),
        (dict(output_stride=3), r"segmenter\.output_stride: 3: must divide the size_divisor, 8"),
        (dict(pyramid=dict(widths=(8, 8), squeezes=(1, 0), norm="GN")), r"pyramid\.widths: 2 scales for 3 levels"),
        (dict(test=dict(overlap=4)), r"segmenter\.test\.overlap: 4: must be at least 0 and less than the 4"),
        (dict(clustering=dict(heat=1)), r"segmenter\.clustering: .*its keys are min_heat, min_probability, most"),
    ):
        with pytest.raises(UserError, match=says):
            make_pyramid(**keys)


def test_mask_rcnn_weights_load_backbone_and_feature_pyramid(tmp_path):
    names = {"neck.laterals.": "neck.lateral_convs.", "neck.outputs.": "neck.fpn_convs."}
    theirs = {"rpn_head.rpn_conv.weight": torch.rand(1), "roi_head.bbox_head.fc_cls.weight": torch.rand(1)}
    for key, value in make_pyramid().state_dict().items():
        for ours, mmdet in names.items():
            if key.startswith(ours):
                index, _, rest = key.removeprefix(ours).partition(".")
                theirs[f"{mmdet}{index}.conv.{rest}"] = torch.rand(value.shape)
        if key.startswith("backbone."):
            theirs[key] = torch.rand(value.shape)
    torch.save({"state_dict": theirs}, tmp_path / "mask_rcnn.pth")
    model = make_pyramid()
    report = load_init(model, tmp_path / "mask_rcnn.pth")
    assert report.unexpected == ()
    assert {key.split(".")[0] for key in report.missing} == {"pyramid", "head", "class_heads"}
    assert torch.equal(model.neck.outputs[2].weight, theirs["neck.fpn_convs.2.conv.weight"])
