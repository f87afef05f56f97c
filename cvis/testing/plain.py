"""What a learner keeps outside of its ``state_dict``: plain attributes, which no checkpoint holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

KEPT_BY_TORCH = frozenset(vars(nn.Module()))
VALUES = (bool, int, float, complex, str, bytes, type(None))
DEEP = 6
"""Containers in containers are followed so far."""


class Opaque:
    """What cannot be compared, or is a way to data and no state: all are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque)

    __hash__ = None  # type: ignore[assignment]


def plain_state(module: nn.Module) -> dict[str, Any]:
    """Attributes of a module and its parts that could have been learned, by name, as a copy.

    Numbers, texts, tensors, arrays, generators and containers of these, buffers that are not stored, and the weights of
    modules that hide in a container.
    """
    found: dict[str, Any] = {}
    for path, part in module.named_modules():
        attributes = {n: v for n, v in vars(part).items() if n not in KEPT_BY_TORCH}
        attributes |= {n: part._buffers[n] for n in part._non_persistent_buffers_set if n in part._buffers}
        found |= {f"{path}.{name}" if path else name: _copy(value) for name, value in attributes.items()}
    return found


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names whose values differ, or that only one has; also of two state dicts.

    >>> differing({"a": 1, "b": torch.zeros(2)}, {"a": 1, "b": torch.ones(2), "c": None})
    ['b', 'c']
    """
    names = dict.fromkeys([*one, *other])
    return [name for name in names if name not in one or name not in other or not same(one[name], other[name])]


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit; a number that is none equals itself."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and one.shape == other.shape and _bits(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)


def numbers(value: Any) -> int:
    """How many numbers a copied value holds."""
    if isinstance(value, Tensor):
        return value.numel()
    if isinstance(value, (dict, list, tuple)):
        return sum(map(numbers, value.values() if isinstance(value, dict) else value))
    return int(isinstance(value, (int, float, complex)))


def _bits(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one, other) or torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _copy(value: Any, deep: int = 0) -> Any:
    if isinstance(value, VALUES):
        return value
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.from_numpy(value.copy())
    if isinstance(value, (np.random.Generator, torch.Generator)):
        return str(value.bit_generator.state) if isinstance(value, np.random.Generator) else value.get_state()
    if deep < DEEP and isinstance(value, nn.Module):
        return {name: _copy(entry) for name, entry in value.state_dict().items()}
    if deep < DEEP and isinstance(value, dict):
        return {str(key): _copy(entry, deep + 1) for key, entry in value.items()}
    if deep < DEEP and isinstance(value, (list, tuple)):
        return [_copy(entry, deep + 1) for entry in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    return Opaque()
