"""What DETR's checkpoints, facebookresearch's and mmdet's, call the weights that VisTR has under other names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from cvis.segmenters import weights

OTHER_CLASSES = ("class_embed.", "bbox_head.fc_cls.")
DETR_NAMES = (
    # facebookresearch: torch's names
    (r"^detr\.", ""),  # of a panoptic one
    (r"^backbone\.0\.body\.", "backbone."),
    (r"^transformer\.", ""),
    (r"^(decoder\.layers\.\d+)\.multihead_attn\.", r"\1.cross_attn."),
    (r"^((?:en|de)coder\.layers\.\d+)\.norm1\.", r"\1.norms.0."),
    (r"^((?:en|de)coder\.layers\.\d+)\.norm2\.", r"\1.norms.1."),
    (r"^(decoder\.layers\.\d+)\.norm3\.", r"\1.norms.2."),
    (r"^query_embed\.weight$", "queries"),
    (r"^bbox_embed\.layers\.0\.", "box_head.0."),
    (r"^bbox_embed\.layers\.1\.", "box_head.2."),
    (r"^bbox_embed\.layers\.2\.", "box_head.4."),
    (r"^bbox_attention\.(q|k)_linear\.", r"mask_head.\1_linear."),
    # mmdet 3: its names for the same layers
    (r"^neck\.convs\.0\.conv\.", "input_proj."),
    (r"^((?:en|de)coder\.layers\.\d+\.(?:self|cross)_attn)\.attn\.", r"\1."),
    (r"^((?:en|de)coder\.layers\.\d+)\.ffn\.layers\.0\.0\.", r"\1.linear1."),
    (r"^((?:en|de)coder\.layers\.\d+)\.ffn\.layers\.1\.", r"\1.linear2."),
    (r"^decoder\.post_norm\.", "decoder.norm."),
    (r"^query_embedding\.weight$", "queries"),
    (r"^bbox_head\.reg_ffn\.layers\.0\.0\.", "box_head.0."),
    (r"^bbox_head\.reg_ffn\.layers\.1\.", "box_head.2."),
    (r"^bbox_head\.fc_reg\.", "box_head.4."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under cvis's names, without the class head: it is of other classes."""
    kept = {k: v for k, v in state.items() if not k.removeprefix("detr.").startswith(OTHER_CLASSES)}
    return weights.renamed(kept, DETR_NAMES)
