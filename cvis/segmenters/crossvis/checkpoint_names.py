"""What CondInst's checkpoints, mmdet's and AdelaiDet's, call the weights that CrossVIS has under other names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cvis.segmenters import weights
from cvis.segmenters.mask2former.checkpoint_names import DETECTRON2_NAMES

ADELAIDET = "backbone.bottom_up."
LEFT_OUT = (  # other classes, the semantic loss, and what is no weight
    *("bbox_head.conv_cls.", "head.cls_logits.", "mask_branch.logits.", "mask_branch.seg_head."),
    *("mask_head.sizes_of_interest", "mask_head._iter", "pixel_mean", "pixel_std"),
)
NAMES = (
    # mmdet
    (r"^neck\.lateral_convs\.(\d)\.conv\.", r"pyramid.laterals.\1."),
    *((rf"^neck\.fpn_convs\.{level + 3}\.conv\.", rf"pyramid.extras.{level}.") for level in range(2)),
    (r"^neck\.fpn_convs\.(\d)\.conv\.", r"pyramid.outputs.\1."),
    (r"^bbox_head\.cls_convs\.", "head.class_tower."),
    (r"^bbox_head\.reg_convs\.", "head.box_tower."),
    (r"^bbox_head\.conv_reg\.", "head.sides."),
    (r"^bbox_head\.conv_centerness\.", "head.centreness."),
    (r"^bbox_head\.", "head."),
    (r"^mask_head\.mask_feature_head\.convs_all_levels\.(\d)\.conv\d\.", r"mask_branch.refine.\1."),
    (r"^mask_head\.mask_feature_head\.conv_branch\.", "mask_branch.tower."),
    (r"^mask_head\.mask_feature_head\.conv_pred\.", "mask_branch.answer."),
    (r"^((?:head|mask_branch)\..*\.\d)\.conv\.", r"\1.0."),
    (r"^((?:head|mask_branch)\..*\.\d)\.[gb]n\.", r"\1.1."),
    # AdelaiDet
    (r"^backbone\.bottom_up\.", "backbone."),
    *((rf"^backbone\.fpn_lateral{level + 3}\.", f"pyramid.laterals.{level}.") for level in range(3)),
    *((rf"^backbone\.fpn_output{level + 3}\.", f"pyramid.outputs.{level}.") for level in range(3)),
    *((rf"^backbone\.top_block\.p{level + 6}\.", f"pyramid.extras.{level}.") for level in range(2)),
    (r"^proposal_generator\.fcos_head\.cls_tower\.", "head.class_tower/"),
    (r"^proposal_generator\.fcos_head\.bbox_tower\.", "head.box_tower/"),
    *((rf"_tower/{3 * conv + norm}\.", f"_tower.{conv}.{norm}.") for conv in range(4) for norm in range(2)),
    (r"^proposal_generator\.fcos_head\.bbox_pred\.", "head.sides."),
    (r"^proposal_generator\.fcos_head\.ctrness\.", "head.centreness."),
    (r"^proposal_generator\.fcos_head\.", "head."),
    (r"^controller\.", "head.controller."),
    (r"^mask_branch\.tower\.4\.(?=weight|bias)", "mask_branch.answer."),
    *DETECTRON2_NAMES,  # of the ResNet
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under cvis's names, without the class head: it is of other classes.

    AdelaiDet's ResNet reads blue, green, red; here it is turned to read red, green, blue. It is of the caffe kind: it
    needs ``segmenter.backbone.style=caffe segmenter.std=[1,1,1]``.
    """
    kept = {key: value for key, value in state.items() if not any(part in key for part in LEFT_OUT)}
    named = weights.renamed(kept, NAMES)
    if any(key.startswith(ADELAIDET) for key in state) and "backbone.conv1.weight" in named:
        named["backbone.conv1.weight"] = named["backbone.conv1.weight"].flip(1)
    scales = [named.pop(key) for key in sorted(named) if key.startswith("head.scales.")]
    return {**named, "head.scales": torch.stack([scale.reshape(()) for scale in scales])} if scales else named
