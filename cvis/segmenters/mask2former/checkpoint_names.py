"""What mmdet and torchvision call the weights that Mask2Former-VIS has under other names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

CLASS_HEAD = "cls_embed."
MMDET_NAMES = (
    (r"^(panoptic_head|track_head)\.", ""),
    (r"^transformer_decoder\.", "decoder."),
    (r"^query_feat\.weight$", "groups.0.queries"),
    (r"^query_embed\.weight$", "groups.0.positions"),
    (r"^level_embed\.weight$", "decoder.level_embed"),
    (r"^mask_embed\.", "groups.0.mask_head."),
    # the names before mmdet 3
    (r"^(decoder\.layers\.\d+)\.attentions\.0\.", r"\1.cross_attn."),
    (r"^(decoder\.layers\.\d+)\.attentions\.1\.", r"\1.self_attn."),
    (r"^(pixel_decoder\.encoder\.layers\.\d+)\.attentions\.0\.", r"\1.self_attn."),
    (r"\.ffns\.0\.", ".ffn."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under cvis's names, without mmdet's class head: it is of other classes."""
    named = {}
    for key, value in state.items():
        if CLASS_HEAD in key:
            continue
        for pattern, replacement in MMDET_NAMES:
            key = re.sub(pattern, replacement, key)
        named[key] = value[None] if key == "groups.0.positions" and value.dim() == 2 else value
    if any(key.startswith(("layer1.", "conv1.")) for key in named):  # a bare torchvision ResNet
        named = {f"backbone.{key}": value for key, value in named.items()}
    return named
