"""With the same weights, Mask2Former-VIS equals mmdet's, layer by layer."""

import pytest
import torch
from mmdet_twin import CHANNELS, CLASSES, OURS, QUERIES, nowhere, theirs_and_ours

from cvis.segmenters.init import load_init, load_state
from cvis.segmenters.openmmlab import MMDET_MODELS
from cvis.segmenters.registry import build_segmenter


@pytest.mark.parametrize("frames", [2, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_head(frames, dtype):
    """Class logits and masks of all prediction layers, from the same backbone maps."""
    theirs, ours = theirs_and_ours(frames, dtype)
    batch, sides = 2, [(16, 24), (8, 12), (4, 6), (2, 3)]
    maps = [torch.randn(batch * frames, width, *side, dtype=dtype) for width, side in zip(CHANNELS, sides, strict=True)]
    classes, masks = theirs.track_head(maps, None)
    ours.backbone.forward = lambda images: maps
    pixels = torch.zeros(batch, frames, 3, 64, 96, dtype=torch.uint8)
    outputs = ours.decode(ours.features(pixels))
    assert len(outputs) == len(classes) == 5
    for output, logits, mask in zip(outputs, classes, masks, strict=True):
        torch.testing.assert_close(output.logits, logits, rtol=0, atol=1e-5)
        torch.testing.assert_close(output.masks, mask, rtol=0, atol=1e-5)


def test_whole_model():
    """From uint8 frames of a size that needs padding: preprocessing, backbone and head."""
    theirs, ours = theirs_and_ours(frames=2)
    frames = torch.randint(0, 256, (1, 2, 3, 50, 70), dtype=torch.uint8)
    images = theirs.data_preprocessor.cpu()(dict(inputs=[frames[0]], data_samples=None))["inputs"]
    classes, masks = theirs.track_head(theirs.backbone(images[0].double()), None)
    outputs = ours.decode(ours.features(frames))
    assert outputs[-1].masks.shape == (1, QUERIES, 2, 16, 24)
    torch.testing.assert_close(outputs[-1].logits, classes[-1], rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs[-1].masks, masks[-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["r50", "r101", "swin_t"])
def test_shipped_configs_have_mmdets_architecture(name):
    """Every weight of mmdet's model of that name has its place in ours, with its shape, and no other is left."""
    import mmdet
    from mmengine.config import Config

    from cvis.files import shipped

    configs = f"{mmdet.__path__[0]}/.mim/configs"
    theirs = {
        "r50": "mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py",
        "r101": "mask2former_vis/mask2former_r101_8xb2-8e_youtubevis2019.py",
        "swin_t": "mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py",
    }[name]
    model = Config.fromfile(f"{configs}/{theirs}").model
    model.init_cfg = model.backbone.init_cfg = model.data_preprocessor = None
    state = MMDET_MODELS.build(model).state_dict()
    own = Config.fromfile(shipped("configs") / "segmenters" / f"mask2former_{name}.py")
    report = load_state(build_segmenter(own.segmenter), state, nowhere())
    assert all(key.startswith("class_heads.") for key in report.missing)
    assert report.unexpected == ()


def test_checkpoint_files(tmp_path):
    """Video and image checkpoints of mmdet, new and old names; the file's sha256 is in the report."""
    theirs, ours = theirs_and_ours(2, torch.float32)
    state = theirs.state_dict()
    old = {
        key.replace("track_head", "panoptic_head")
        .replace("decoder.layers.0.cross_attn", "decoder.layers.0.attentions.0")
        .replace("ffn", "ffns.0"): value
        for key, value in state.items()
    }
    for number, content in enumerate([state, old]):
        path = tmp_path / f"{number}.pth"
        torch.save({"state_dict": content, "meta": {"epoch": 1}}, path)
        fresh = build_segmenter(OURS)
        fresh.add_classes(range(CLASSES))
        report = load_init(fresh, path)
        assert all(key.startswith("class_heads.") for key in report.missing)
        assert report.unexpected == ()
        assert len(report.sha256) == 64
        torch.testing.assert_close(fresh.groups[0].queries, ours.groups[0].queries)
