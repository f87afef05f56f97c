"""One complete, checked configuration per run: shipped files, then the command line, unknown keys refused."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cvis.errors import UserError
from cvis.files import shipped
from cvis.learners.registry import find_learner, parameters_of

CHOICES = {
    "protocol.split": (None, "holdout", "official-valid", "test-file", "frames", "same"),
    "protocol.visibility": (None, "overlap", "disjoint", "sequential"),
    "protocol.other_class_policy": (None, "drop", "empty_target"),
    "protocol.freeze": ("backbone", "none"),
    "runtime.device": ("auto", "cpu", "cuda"),
    "runtime.amp": ("auto", "bf16", "off"),
    "runtime.launcher": ("none", "pytorch", "slurm"),
    **{f"schedule.{p}.policy": ("multistep", "cosine", "constant") for p in ("base", "incremental", "joint")},
}
AT_LEAST: dict[str, float] = {
    "schedule.batch_size": 1,
    "schedule.base.iterations": 1,
    "schedule.incremental.iterations": 1,
    "sampling.num_frames": 1,
    "sampling.frame_range": 0,
    "runtime.workers": 0,
    "runtime.checkpoint_every": 1,
}
NO_EFFECT_ON_RESULTS = ("data", "runs", "workers", "checkpoint_every", "loggers")
"""Runtime keys that may differ between a run and its resumption."""


def resolve(
    scenario: str,
    learner: str,
    segmenter: str = "mask2former_tiny",
    schedule: str | None = None,
    overrides: Iterable[str] = (),
    name: str | None = None,
) -> dict[str, Any]:
    """The complete configuration of a run, as a plain dictionary.

    Args:
        scenario: name of a shipped stream or path of a ``.toml`` file.
        learner: name, or ``path/to/file.py:Class``.
        segmenter: name of a file in ``configs/segmenters``, or path of such a file.
        schedule: likewise in ``configs/schedules``; by default ``tiny`` for the tiny segmenter, else the
            one named like the scenario, else ``default``.
        overrides: ``key=value`` strings, e.g. ``schedule.base.iterations=300``.
        name: what folder and tables call this run, by default the learner's name.

    Raises:
        UserError: a file, key or value that does not exist or does not fit.
    """
    schedule = schedule or _default_schedule(scenario, segmenter)
    config: dict[str, Any] = _load(shipped("configs") / "default.py")
    for part in (_find("segmenters", segmenter), _find("schedules", schedule)):
        _merge(config, _load(part))
    config["learner"] = _learner_settings(learner)
    config.update(
        scenario=scenario,
        names=dict(
            learner=_short(learner),
            segmenter=_short(segmenter),
            schedule=_short(schedule),
            run=name or _short(learner),
        ),
    )
    for override in overrides:
        _override(config, override)
    _validate(config)
    return config


def dump(config: dict[str, Any]) -> str:
    """The configuration as the text of an mmengine config file."""
    return Config(deepcopy(config)).pretty_text


def fingerprint(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that changes results: what a resumed run must agree on."""
    relevant = deepcopy(config)
    for key in NO_EFFECT_ON_RESULTS:
        relevant["runtime"].pop(key)
    return relevant


def parse_value(text: str) -> Any:
    """The value of ``key=value``: a Python or JSON literal, else the text itself.

    >>> parse_value("1e-4"), parse_value("true"), parse_value("[1, 2]"), parse_value("overlap")
    (0.0001, True, [1, 2], 'overlap')
    """
    constants = {"true": True, "false": False, "null": None}  # "none" is a value of some keys; None is None
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _default_schedule(scenario: str, segmenter: str) -> str:
    if _short(segmenter) == "mask2former_tiny":
        return "tiny"
    name = _short(scenario)
    return name if (shipped("configs") / "schedules" / f"{name}.py").is_file() else "default"


def _short(name: str) -> str:
    """How a run names a part in its folder: ``a/b/mine.py:Mine`` is ``Mine``, ``a/b/my.toml`` is ``my``."""
    if ".py:" in name:
        return name.rpartition(":")[2]
    return Path(name).stem if name.endswith((".py", ".toml")) else name


def _find(kind: str, name: str) -> Path:
    folder = shipped("configs") / kind
    path = Path(name).expanduser() if name.endswith(".py") else folder / f"{name}.py"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.py")))
        raise UserError(f"{kind[:-1]}: {name!r} does not exist; choose one of {known}, or a path to a .py file")
    return path


def _load(path: Path) -> dict[str, Any]:
    try:
        return Config.fromfile(str(path)).to_dict()
    except (SyntaxError, KeyError, TypeError, ValueError, NameError) as error:
        raise UserError(f"{path}: is not a valid config file: {error}") from error


def _merge(config: dict[str, Any], part: dict[str, Any]) -> None:
    for key, value in part.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value


def _learner_settings(name: str) -> dict[str, Any]:
    """Every parameter of the learner: its own defaults, then its shipped config file if there is one."""
    defaults = {n: p.default for n, p in parameters_of(find_learner(name)).items()}
    settings = {n: d for n, d in defaults.items() if d is not inspect.Parameter.empty}
    path = shipped("configs") / "learners" / f"{_short(name)}.py"
    if ".py:" not in name and path.is_file():
        settings.update(_load(path)["learner"])
    return {**settings, "type": name}


def _override(config: dict[str, Any], text: str) -> None:
    key, equals, raw = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: is not key=value; write for example --set schedule.base.iterations=300")
    *path, last = key.split(".")
    place: Any = config
    for depth, name in enumerate(path):
        if not isinstance(place, dict) or name not in place:
            raise UserError(_unknown(key, place, ".".join(path[:depth])))
        place = place[name]
    # A segmenter's own constructor knows which keys it takes beside those of its file, and refuses others.
    free = path[:1] == ["segmenter"]
    if not isinstance(place, dict) or not (free or last in place or last in _learner_keys(config, path)):
        raise UserError(_unknown(key, place, ".".join(path)))
    value = parse_value(raw)
    _check_type(key, place.get(last), value)
    place[last] = value


def _learner_keys(config: dict[str, Any], path: list[str]) -> set[str]:
    return set(parameters_of(find_learner(config["learner"]["type"]))) if path == ["learner"] else set()


def _unknown(key: str, place: Any, where: str) -> str:
    options = ", ".join(sorted(place)) if isinstance(place, dict) else "none, it is a value"
    return f"--set {key}: no such key; known{' under ' + where if where else ''}: {options}"


def _check_type(key: str, default: Any, value: Any) -> None:
    numbers = (int, float)
    if default is None or (value is None and not isinstance(default, (bool, dict))):
        return
    if isinstance(default, numbers) and not isinstance(default, bool):
        fits = isinstance(value, numbers) and not isinstance(value, bool)
        fits = fits and (isinstance(default, float) or float(value).is_integer())
    else:
        fits = isinstance(value, (list, tuple) if isinstance(default, (list, tuple)) else type(default))
    if not fits:
        raise UserError(f"--set {key}: {value!r} is not of the type of its default {default!r}; give such a value")


def _validate(config: dict[str, Any]) -> None:
    for key, choices in CHOICES.items():
        value = _get(config, key)
        if value not in choices:
            options = ", ".join(str(c) for c in choices if c is not None)
            raise UserError(f"{key}: {value!r} is not possible; choose one of {options}")
    for key, least in AT_LEAST.items():
        value = _get(config, key)
        if not isinstance(value, (int, float)) or value < least:
            raise UserError(f"{key}: {value!r} is not possible; give a number of at least {least:g}")
    missing = [
        n
        for n, p in parameters_of(find_learner(config["learner"]["type"])).items()
        if p.default is inspect.Parameter.empty and n not in config["learner"]
    ]
    if missing:
        raise UserError(f"learner.{missing[0]}: has no default; give it with --set learner.{missing[0]}=VALUE")


def _get(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value[name]
    return value
