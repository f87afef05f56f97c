"""Backbones: mmdet's by its own config, and a small convolutional one for the CPU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from cvis.errors import UserError
from cvis.segmenters.openmmlab import MMDET_MODELS, quiet


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

    Raises:
        UserError: the type is unknown, or its arguments are wrong.
    """
    config = dict(config)
    name = config.get("type")
    try:
        if name == "ConvBackbone":
            config.pop("type")
            backbone = ConvBackbone(**config)
        else:
            backbone = MMDET_MODELS.build({"_scope_": "mmdet", **config})
        with quiet():
            backbone.init_weights()
    except (KeyError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"segmenter.backbone: {config if name is None else name!r}: cannot be built: {reason}; "
            "give ConvBackbone or a backbone of mmdet with its own arguments"
        ) from error
    return backbone
