"""What every model makes of its configuration and of targets before anything is learned."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from cvis.errors import UserError
from cvis.types import NO_OBJECT, Targets


def part(name: str, make: Callable, config: dict | None, *arguments: Any, **given: Any) -> Any:
    """Call ``make`` with the user's keys of one part of the configuration.

    Raises:
        UserError: a key that ``make`` does not take.
    """
    config = dict(config or {})
    try:
        inspect.signature(make).bind(*arguments, **given, **config)
    except TypeError as error:
        raise UserError(
            f"segmenter.{name}: {error}; its keys are {', '.join(inspect.signature(make).parameters)}"
        ) from error
    return make(*arguments, **given, **config)


def target_masks(targets: Sequence[Targets], divisor: int) -> list[Tensor]:
    """The masks of each clip, padded as its frames are."""
    return [padded(target.masks, divisor) for target in targets]


def target_columns(targets: Sequence[Targets], classes: Sequence[int]) -> list[Tensor]:
    """The column of each target's class among the logits of K ``classes``: [N] int64 of each clip; no-object is K.

    Raises:
        UserError: a target of another class: the data leaked it.
    """
    column = {category: index for index, category in enumerate(classes)}
    column[NO_OBJECT] = len(classes)
    columns = []
    for target in targets:
        ids = target.category_ids.tolist()
        unknown = sorted(set(ids) - set(column))
        if unknown:
            raise UserError(
                f"targets: category_ids: {unknown}: not among the classes learned so far ({list(classes)}); "
                "a step's clips may hold its own classes only"
            )
        columns.append(target.category_ids.new_tensor([column[category] for category in ids]))
    return columns


def padded(images: Tensor, divisor: int) -> Tensor:
    """Images or masks [..., H, W] with zeros at the right and bottom, up to multiples of ``divisor``."""
    height, width = images.shape[-2:]
    pad = (0, -width % divisor, 0, -height % divisor)
    return F.pad(images, pad) if any(pad) else images
