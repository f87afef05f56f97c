"""Under which conditions a run was made, and in which of them two runs differ.

Another split, another initialisation or another rule of averaging makes numbers that look comparable and are
not. So every key counts, however deep; one that is absent is the same as one that is null, as in files older
than the key.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

Differences = dict[str, tuple[Any, Any]]
"""Key -> (value here, value there)."""

BACKBONE, SHIPPED = "backbone:", "shipped/"
"""In the name of initial weights: of another model's backbone alone; of a step 0 that comes with cvis."""
HASH = re.compile(r"[0-9a-f]{40,}")
YOUNGER = {"optimizer": "adamw", "momentum": 0.9}
"""Keys of the schedule that older files lack, with what was fixed then: their rows stand beside new ones."""


def conditions(protocol: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The protocol with ``classes_averaged``, the number of classes that the last step's means are over.

    A class without ground truth has no AP and is in no mean.

    >>> conditions({"init": "coco"}, [{"per_class": {"1": {"AP": 3.0}, "2": {"AP": None}}}])
    {'init': 'coco', 'classes_averaged': 1}
    >>> conditions({"schedule": {"scale": 1}}, [{}])  # of an older file
    {'schedule': {'optimizer': 'adamw', 'momentum': 0.9, 'scale': 1}}
    """
    complete = dict(protocol)
    if isinstance(protocol.get("schedule"), dict):
        complete["schedule"] = {**YOUNGER, **protocol["schedule"]}
    per_class = steps[-1].get("per_class")
    if isinstance(per_class, dict):
        averaged = sum(isinstance(own, dict) and own.get("AP") is not None for own in per_class.values())
        complete["classes_averaged"] = averaged
    return complete


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys by their path, without those that are null.

    >>> flat({"schedule": {"scale": 1, "lr": None}, "init": "coco"})
    {'schedule.scale': 1, 'init': 'coco'}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{key}."))
        elif value is not None:
            found[f"{prefix}{key}"] = value
    return found


def signature(values: Mapping[str, Any]) -> Hashable:
    """Equal for two protocols without differences, and only for them.

    >>> signature({"a": 1, "b": [1, 2]}) == signature({"b": [1, 2.0], "a": 1, "c": None})
    True
    """
    return frozenset((key, _frozen(value)) for key, value in flat(values).items())


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((key, _frozen(own)) for key, own in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> Differences:
    """The keys in which two protocols differ, by name.

    >>> differences({"schedule": {"scale": 0.5}}, {"schedule": {"scale": 1.0}})
    {'schedule.scale': (0.5, 1.0)}
    """
    one, other = flat(here), flat(there)
    pairs = {key: (one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys())}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def describe(differs: Differences, limit: int = 6) -> str:
    """For a line of text: values short, and no more than ``limit`` keys.

    >>> describe({"init": ("coco", "random"), "schedule.scale": (0.5, None)})
    "init = 'coco', not 'random'; schedule.scale = 0.5, elsewhere absent"
    """
    keys = list(differs.items())
    said = [_difference(key, *pair) for key, pair in keys[:limit]]
    return "; ".join(said + ([f"and {len(keys) - limit} more keys"] if len(keys) > limit else []))


def _difference(key: str, here: Any, there: Any) -> str:
    if here is None:
        return f"{key} absent, elsewhere {_short(there)}"
    return f"{key} = {_short(here)}, " + ("elsewhere absent" if there is None else f"not {_short(there)}")


def _short(value: Any) -> str:
    if isinstance(value, str) and HASH.fullmatch(value):
        return f"'{value[:8]}..'"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
