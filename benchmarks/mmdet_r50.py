"""mmdet's models of R50 size as it ships them, with random weights, and ours with the same weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from cvis.engine.resolve import resolve
from cvis.segmenters import Segmenter, build_segmenter
from cvis.segmenters.init import load_state
from cvis.segmenters.openmmlab import MMDET_MODELS, quiet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "segmenters"))
import mmdet  # after cvis has put its stand-in for mmcv's operators in place
from mmdet_twin import copy_class_head, nowhere
from mmengine.config import Config

CLASSES = 40


def video_pair() -> tuple[nn.Module, Segmenter]:
    """mmdet's Mask2FormerVideo, and our mask2former_r50."""
    theirs = built("mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py")
    return theirs, like(theirs, theirs.track_head, "mask2former_r50")


def frame_pair() -> tuple[nn.Module, Segmenter]:
    """mmdet's Mask2Former of images, and our ctvis_r50, whose detector of a frame is the same."""
    theirs = built("mask2former/mask2former_r50_8xb2-lsj-50e_coco.py", CLASSES)
    return theirs, like(theirs, theirs.panoptic_head, "ctvis_r50")


def built(config: str, things: int | None = None) -> nn.Module:
    """A model of mmdet's in evaluation, by its file; queries and biases that say something, all from seed 0."""
    torch.manual_seed(0)
    model = Config.fromfile(Path(mmdet.__file__).parent / ".mim" / "configs" / config).model
    model.init_cfg = model.backbone.init_cfg = None  # no download
    model.data_preprocessor = None  # frames are read and normalised as ours are
    if things:
        model.panoptic_head.num_things_classes = model.panoptic_fusion_head.num_things_classes = things
        model.panoptic_head.loss_cls.class_weight = [1.0] * things + [0.1]
    with quiet():
        theirs = MMDET_MODELS.build(model)
    for parameter in theirs.parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.05)
    for module in theirs.modules():
        if isinstance(module, nn.Embedding):
            module.reset_parameters()  # queries that are not all alike
    return theirs.eval()


def like(theirs: nn.Module, head: nn.Module, segmenter: str) -> Segmenter:
    """Our model of that name with these weights, in evaluation."""
    config = resolve("ytvis2019-20-4", "finetune", segmenter, overrides=["segmenter.class_head=linear"]).segmenter
    ours = build_segmenter(config)
    ours.add_classes(range(1, CLASSES + 1))
    load_state(ours, theirs.state_dict(), nowhere())
    copy_class_head(head, ours)
    return ours.eval()
