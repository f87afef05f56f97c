"""What mmdet, detectron2 and torchvision call the weights that Mask2Former-VIS has under other names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from cvis.segmenters import weights

CLASS_HEADS = ("cls_embed.", "class_embed.")
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
DETECTRON2_NAMES = (  # of a ResNet, and a pixel decoder with one level above its encoder
    (r"^criterion\.empty_weight$", "loss_cls.class_weight"),
    (r"^backbone\.stem\.conv1\.norm\.", "backbone.bn1."),
    (r"^backbone\.stem\.", "backbone."),
    *((rf"^backbone\.res{stage + 1}\.", f"backbone.layer{stage}.") for stage in range(1, 5)),
    (r"^(backbone\.layer\d\.\d+)\.shortcut\.norm\.", r"\1.downsample.1."),
    (r"^(backbone\.layer\d\.\d+)\.shortcut\.", r"\1.downsample.0."),
    (r"^(backbone\.layer\d\.\d+)\.conv(\d)\.norm\.", r"\1.bn\2."),
    (r"^sem_seg_head\.(pixel_decoder|predictor)\.", r"\1."),
    (r"^pixel_decoder\.transformer\.level_embed$", "pixel_decoder.level_encoding.weight"),
    (r"^pixel_decoder\.transformer\.", "pixel_decoder."),
    (r"^(pixel_decoder)\.input_proj\.(\d)\.0\.", r"\1.input_convs.\2.conv."),
    (r"^(pixel_decoder)\.input_proj\.(\d)\.1\.", r"\1.input_convs.\2.gn."),
    (r"^pixel_decoder\.adapter_1\.norm\.", "pixel_decoder.lateral_convs.0.gn."),
    (r"^pixel_decoder\.adapter_1\.", "pixel_decoder.lateral_convs.0.conv."),
    (r"^pixel_decoder\.layer_1\.norm\.", "pixel_decoder.output_convs.0.gn."),
    (r"^pixel_decoder\.layer_1\.", "pixel_decoder.output_convs.0.conv."),
    (r"^pixel_decoder\.mask_features\.", "pixel_decoder.mask_feature."),
    (r"^(pixel_decoder\.encoder\.layers\.\d+)\.norm1\.", r"\1.norms.0."),
    (r"^(pixel_decoder\.encoder\.layers\.\d+)\.norm2\.", r"\1.norms.1."),
    (r"^predictor\.transformer_(cross|self)_attention_layers\.(\d+)\.(self_attn|multihead_attn)\.",
     r"decoder.layers.\2.\1_attn.attn."),
    (r"^predictor\.transformer_cross_attention_layers\.(\d+)\.norm\.", r"decoder.layers.\1.norms.0."),
    (r"^predictor\.transformer_self_attention_layers\.(\d+)\.norm\.", r"decoder.layers.\1.norms.1."),
    (r"^predictor\.transformer_ffn_layers\.(\d+)\.norm\.", r"decoder.layers.\1.norms.2."),
    (r"^predictor\.transformer_ffn_layers\.(\d+)\.", r"decoder.layers.\1."),
    (r"^((pixel_decoder\.encoder|decoder)\.layers\.\d+)\.linear1\.", r"\1.ffn.layers.0.0."),
    (r"^((pixel_decoder\.encoder|decoder)\.layers\.\d+)\.linear2\.", r"\1.ffn.layers.1."),
    (r"^predictor\.decoder_norm\.", "decoder.post_norm."),
    (r"^predictor\.static_query\.", "query_feat."),
    *((rf"^predictor\.mask_embed\.layers\.{layer}\.", f"mask_embed.{2 * layer}.") for layer in range(3)),
    (r"^predictor\.", ""),
)  # fmt: skip


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under cvis's names, without the class head of the others: it is of other classes."""
    kept = {key: value for key, value in state.items() if not any(head in key for head in CLASS_HEADS)}
    named = weights.renamed(kept, (*DETECTRON2_NAMES, *MMDET_NAMES))
    positions = named.get("groups.0.positions")
    if positions is not None and positions.dim() == 2:
        named["groups.0.positions"] = positions[None]
    return named
