"""Initial weights of Mask2Former-VIS: mmdet's COCO checkpoints, ImageNet backbones, or any such file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cvis.errors import UserError
from cvis.segmenters.base import Segmenter
from cvis.segmenters.weights import fetch, read_state_dict, sha256

FRESH = ("class_heads.", "loss_cls.")
"""What a checkpoint need not hold, or may hold for nothing: heads of other classes."""

_MMDET_NAMES = (
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


@dataclass(frozen=True)
class InitReport:
    """Where the initial weights came from."""

    source: str  # "random", or the file
    sha256: str | None
    matched: tuple[str, ...]  # parameters and buffers of the segmenter that were loaded
    missing: tuple[str, ...]  # those left as initialised
    unexpected: tuple[str, ...]  # keys of the file that were not used


def load_init(segmenter: Segmenter, source: str | Path) -> InitReport:
    """Give a freshly built segmenter its initial weights.

    Args:
        source: ``random``, ``imagenet`` (backbone only), ``coco`` (all but the class heads), or the path of a
            checkpoint of mmdet's Mask2Former or Mask2FormerVideo, of a torchvision ResNet, or of this segmenter.
            A class head with another number of classes is left as it is.

    Raises:
        UserError: no such weights for this segmenter, no network, or a key of the file does not fit.
    """
    if str(source) == "random":
        return InitReport("random", None, (), tuple(segmenter.state_dict()), ())
    if str(source) in ("imagenet", "coco"):
        url = segmenter.weights.get(str(source))
        if url is None:
            known = ", ".join(["random", *segmenter.weights, "PATH"])
            raise UserError(f"init: {source!r}: no such weights are known for this segmenter; use one of {known}")
        path = fetch(url)
    else:
        path = Path(source)
    return load_state(segmenter, read_state_dict(path), path)


def load_state(segmenter: Segmenter, state: Mapping[str, Tensor], path: Path) -> InitReport:
    """Load a state dict with the names of mmdet, torchvision or cvis; see :func:`load_init`."""
    named = rename(state)
    if head := class_rows(segmenter, named):
        named.update(head)
    own = segmenter.state_dict()
    scope = "" if any(key.startswith("decoder.") for key in named) else "backbone."
    matched = [key for key in named if key in own and own[key].shape == named[key].shape]
    missing = [key for key in own if key not in matched]
    unexpected = [key for key in named if key not in own]
    for key in named:
        if key in own and key not in matched and not key.startswith(FRESH):
            raise UserError(
                f"{path}: {key}: shape {tuple(named[key].shape)}, but this segmenter has {tuple(own[key].shape)}; "
                "use the weights of the same architecture"
            )
    _refuse(path, [key for key in missing if key.startswith(scope)], unexpected, matched)
    segmenter.load_state_dict({**own, **{key: named[key] for key in matched}})
    digest = sha256(path) if path.is_file() else None
    return InitReport(str(path), digest, tuple(matched), tuple(missing), tuple(unexpected))


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under cvis's names; ``cls_embed`` keeps its own."""
    named = {}
    for key, value in state.items():
        for pattern, replacement in _MMDET_NAMES:
            key = re.sub(pattern, replacement, key)
        named[key] = value[None] if key == "groups.0.positions" and value.dim() == 2 else value
    if any(key.startswith(("layer1.", "conv1.")) for key in named):  # a bare torchvision ResNet
        named = {f"backbone.{key}": value for key, value in named.items()}
    return named


def class_rows(segmenter: Segmenter, named: dict[str, Tensor]) -> dict[str, Tensor]:
    """mmdet's one linear class head as the rows of ours, if the numbers of classes are equal; else nothing."""
    weight, bias = named.pop("cls_embed.weight", None), named.pop("cls_embed.bias", None)
    heads = segmenter.class_heads
    if weight is None or bias is None or heads.kind != "linear" or len(weight) != len(segmenter.classes) + 1:
        return {}
    sizes = [heads.get_parameter(f"steps.{index}.bias").numel() for index in range(len(heads.steps))] + [1]
    names = [f"class_heads.steps.{index}" for index in range(len(heads.steps))] + ["class_heads.no_object"]
    rows = {}
    for name, rows_weight, rows_bias in zip(names, weight.split(sizes), bias.split(sizes), strict=True):
        rows[f"{name}.weight"], rows[f"{name}.bias"] = rows_weight, rows_bias
    return rows


def _refuse(path: Path, missing: list[str], unexpected: list[str], matched: list[str]) -> None:
    """Raise for the first key that does not fit."""
    if not matched:
        raise UserError(f"{path}: no key fits this segmenter; give a Mask2Former or backbone checkpoint")
    for key in missing:
        if not key.startswith(FRESH) and not key.endswith("num_batches_tracked"):
            raise UserError(f"{path}: {key}: not in the file; use the weights of the same architecture")
    for key in unexpected:
        if not key.startswith((*FRESH, "backbone.fc.")):
            raise UserError(f"{path}: {key}: this segmenter has no such weight; use those of the same architecture")
