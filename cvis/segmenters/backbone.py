"""Backbones: mmdet's by its own config, and a small convolutional one for the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.openmmlab import MMDET_MODELS, WEIGHT_INITIALIZERS, quiet


class ConvBackbone(nn.Module):
    """One stage per level: a 3x3 convolution of stride 2 and ``depth - 1`` of stride 1, GroupNorm, ReLU.

    Args:
        widths: channels of each level; level i has stride 2 ** (i + 1).
        depth: convolutions per stage; one in the first stage, where the maps are large.
        skip: how many of the finest levels are not given out.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 96, 128), depth: int = 2, skip: int = 0) -> None:
        super().__init__()
        self.skip = skip
        stages, incoming = [], 3
        for index, width in enumerate(widths):
            blocks: list[nn.Module] = []
            for step in range(depth if index else 1):
                blocks += [
                    nn.Conv2d(incoming, width, 3, stride=1 if step else 2, padding=1, bias=False),
                    nn.GroupNorm(8, width),
                    nn.ReLU(inplace=True),
                ]
                incoming = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def init_weights(self) -> None:
        """He initialisation, as for every network of rectified linear units."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """[N, 3, H, W] -> one map per level, fine to coarse."""
        levels = []
        for stage in self.stages:
            image = stage(image)
            levels.append(image)
        return tuple(levels[self.skip :])


def build_backbone(config: dict) -> nn.Module:
    """``ConvBackbone`` or any backbone of mmdet's registry, by its mmdet config, initialised.

    The config may come with a stranger's run, and mmengine's registry would import and call whatever a ``type``
    spells (``subprocess.run``), and read a checkpoint as a pickle. So a type is a registered name, and weights are
    ``--init``'s.

    Raises:
        UserError: a type is unknown, its arguments are wrong, or one names a file of weights.
    """
    config = dict(config)
    name = config.get("type")
    _refuse_strange(config)
    try:
        if name == "ConvBackbone":
            config.pop("type")
            backbone = ConvBackbone(**config)
        else:
            backbone = MMDET_MODELS.build({**config, "_scope_": "mmdet"})
        with quiet():
            backbone.init_weights()
    except (KeyError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"segmenter.backbone: {config if name is None else name!r}: cannot be built: {reason}; "
            "give ConvBackbone or a backbone of mmdet with its own arguments"
        ) from error
    return backbone


def _refuse_strange(config: dict) -> None:
    registries = (MMDET_MODELS, MMDET_MODELS.parent, WEIGHT_INITIALIZERS)
    known = {"ConvBackbone"}.union(*(registry.module_dict for registry in registries))
    for key, value in _items(config):
        if key == "type" and not (isinstance(value, str) and value in known):
            raise UserError(
                f"segmenter.backbone: {key}: {value!r:.60}: cannot be built: it is no registered name; "
                "give ConvBackbone or a backbone of mmdet by its name alone"
            )
        if key in ("pretrained", "checkpoint") and value is not None:
            raise UserError(f"segmenter.backbone: {key}: {value!r:.60}: weights cannot be named here; use --init PATH")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and its value, however deep."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield key, inner
        yield from _items(inner)
    for inner in value if isinstance(value, (list, tuple)) else ():
        yield from _items(inner)
