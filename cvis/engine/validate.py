"""Which values a configuration may hold: every refusal names the key, the value and what is possible."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from cvis.errors import UserError

LOGGERS = ("tensorboard", "wandb", "mlflow", "aim", "local")
PHASES = ("base", "incremental", "joint")
CHOICES: dict[str, tuple] = {
    "protocol.split": (None, "holdout", "official-valid", "test-file", "frames", "same"),
    "protocol.visibility": (None, "overlap", "disjoint", "sequential"),
    "protocol.other_class_policy": (None, "drop", "empty_target"),
    "protocol.freeze": ("backbone", "none"),
    "runtime.device": ("auto", "cpu", "cuda"),
    "runtime.amp": ("auto", "bf16", "off"),
    "runtime.launcher": ("none", "pytorch", "slurm"),
    "schedule.optimizer": ("adamw", "sgd"),
    **{f"schedule.{phase}.policy": ("multistep", "cosine", "constant") for phase in PHASES},
}
WHOLE: dict[str, int] = {  # key -> least value
    "schedule.batch_size": 1,
    **{f"schedule.{phase}.iterations": 1 for phase in PHASES},
    "sampling.num_frames": 1,
    "sampling.frame_range": 1,
    "sampling.max_size": 1,
    "runtime.seed": 0,
    "runtime.workers": 0,
    "runtime.checkpoint_every": 1,
}
MAY_BE_NONE = ("schedule.joint.iterations", "runtime.data")
POSITIVE = (*(f"schedule.{phase}.lr" for phase in PHASES), "schedule.scale")
NOT_NEGATIVE = (
    *(f"schedule.{key}" for key in ("momentum", "weight_decay", "clip_grad", "backbone_lr_mult")),
    "sampling.flip",
)
RUN_NAME = re.compile(r"[A-Za-z0-9][\w.+=,-]*")


def validate(config: dict[str, Any]) -> None:
    """Refuse what cannot run.

    Raises:
        UserError: a key is missing, or its value is not possible.
    """
    for key, choices in CHOICES.items():
        options = ", ".join(str(choice) for choice in choices if choice is not None)
        _require(config, key, choices.__contains__, f"choose one of {options}")
    for key, least in WHOLE.items():
        _require(config, key, _whole_from(least), f"give a whole number >= {least}")
    for key in POSITIVE:
        _require(config, key, lambda value: _is_finite(value) and value > 0, "give a number above 0")
    for key in NOT_NEGATIVE:
        _require(config, key, lambda value: _is_finite(value) and value >= 0, "give a number >= 0")
    _require(config, "schedule.milestones", _all(lambda v: _is_finite(v) and 0 < v < 1), "give fractions like [0.667]")
    _require(config, "sampling.short_sides", _all(lambda v: _is_whole(v) and v > 0, least=1), "give sizes like [360]")
    _require(config, "runtime.loggers", _all(LOGGERS.__contains__), f"choose of {', '.join(LOGGERS)}, or [] for none")
    for key in ("protocol.init", "runtime.runs", "runtime.data"):
        _require(config, key, lambda value: isinstance(value, str) and bool(value), "give a text")
    _require(config, "names.run", lambda v: bool(RUN_NAME.fullmatch(v)), "use letters, digits and . _ + = , - only")
    _require(config, "segmenter.type", lambda value: isinstance(value, str), "give the name of a segmenter")


def get(config: dict[str, Any], key: str) -> Any:
    """The value at a dotted key.

    Raises:
        UserError: there is none.
    """
    value: Any = config
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            raise UserError(f"{key}: is missing in the configuration; see configs/default.py")
        value = value[name]
    return value


def _require(config: dict[str, Any], key: str, fits: Callable[[Any], bool], remedy: str) -> None:
    value = get(config, key)
    if not (value is None and key in MAY_BE_NONE) and not fits(value):
        raise UserError(f"{key}: {value!r} is not possible; {remedy}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole_from(least: int) -> Callable[[Any], bool]:
    return lambda value: _is_whole(value) and value >= least


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _all(fits: Callable[[Any], bool], least: int = 0) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and len(value) >= least and all(fits(v) for v in value)
