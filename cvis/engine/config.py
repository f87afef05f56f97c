"""One complete, checked configuration per run: shipped files, then the command line, unknown keys refused."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cvis.engine.validate import validate
from cvis.errors import UserError
from cvis.files import shipped
from cvis.learners.registry import find_learner, parameters_of

FIXED = ("names", "scenario", "learner.type", "segmenter.type")
"""What the command line says in other ways; a second way could contradict the first."""
NO_EFFECT_ON_RESULTS = ("data", "runs", "workers", "checkpoint_every", "loggers")
"""Runtime keys that may differ between a run and its resumption."""
PRESET_PARTS = ("protocol", "sampling", "schedule", "segmenter")
"""What a preset may set beside ``learners``: what belongs to a method's publication, not to a machine."""


def resolve(
    scenario: str,
    learner: str,
    segmenter: str = "mask2former_tiny",
    schedule: str | None = None,
    overrides: Iterable[str] = (),
    name: str | None = None,
    preset: str | None = None,
) -> dict[str, Any]:
    """The complete configuration of a run, as a plain dictionary.

    Args:
        scenario: name of a shipped stream or path of a ``.toml`` file.
        learner: name, or ``path/to/file.py:Class``.
        segmenter: name of a file in ``configs/segmenters``, or path of such a file.
        schedule: likewise in ``configs/schedules``; by default ``tiny`` for the tiny segmenter, else the
            one named like the scenario, else ``default``.
        overrides: ``key=value`` strings, e.g. ``schedule.base.iterations=300``.
        name: what folder and tables call this run, by default the learner's name and the preset's.
        preset: likewise in ``configs/presets``: settings of several parts that belong together.

    Raises:
        UserError: a file, key or value that does not exist or does not fit.
    """
    schedule = schedule or _default_schedule(scenario, segmenter)
    config: dict[str, Any] = _load(shipped("configs") / "default.py")
    settings = _learner_settings(learner)
    chosen = {"segmenters": segmenter, "schedules": schedule, "presets": preset}
    for kind, file in ((kind, _find(kind, part)) for kind, part in chosen.items() if part is not None):
        part = _load(file)
        _lay_over_learner(settings, part.pop("learners", {}), learner, file)
        if kind == "presets":
            _check_preset(part, file)
            config["segmenter"] = _nested(config["segmenter"], part.pop("segmenter", {}))
        _merge(config, part, file)
    config.update(
        learner={**settings, "type": learner},
        scenario=scenario,
        names=dict(
            learner=_short(learner),
            segmenter=_short(segmenter),
            schedule=_short(schedule),
            preset=preset and _short(preset),
            run=name or "-".join(_short(part) for part in (learner, preset) if part),
        ),
    )
    for override in overrides:
        _override(config, override)
    for key, parameter in parameters_of(find_learner(learner)).items():
        if parameter.default is inspect.Parameter.empty and key not in config["learner"]:
            raise UserError(f"learner.{key}: has no default; give it with --set learner.{key}=VALUE")
    validate(config)
    return config


def dump(config: dict[str, Any]) -> str:
    """The configuration as the text of an mmengine config file."""
    return Config(deepcopy(config)).pretty_text


def fingerprint(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that changes results: what a resumed run must agree on.

    It may be the configuration in an older run's ``run.json``, which holds that part alone.
    """
    relevant = deepcopy(config)
    for key in NO_EFFECT_ON_RESULTS:
        relevant["runtime"].pop(key, None)
    relevant.pop("scenario", None)  # a path may be spelled in many ways; the stream's checksum is compared instead
    relevant["learner"]["type"] = _short(relevant["learner"].get("type", ""))
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
    except Exception as error:  # a config file is a program: it may fail in any way
        raise UserError(f"{path}: is not a valid config file: {type(error).__name__}: {error}") from error


def _merge(config: dict[str, Any], part: dict[str, Any], file: Path, where: str = "") -> None:
    """Lay ``part`` over ``config``. A key that nobody reads is a typing error; a segmenter checks its own keys."""
    for key, value in part.items():
        name = f"{where}.{key}" if where else key
        if key not in config and name != "segmenter":
            raise UserError(f"{file}: {name}: no such key; known{f' in {where}' if where else ''}: {', '.join(config)}")
        if name == "segmenter" or not isinstance(config[key], dict):
            config[key] = value
        elif isinstance(value, dict):
            _merge(config[key], value, file, name)
        else:
            raise UserError(f"{file}: {name}: {value!r}: is not a dict(...) of {', '.join(config[key])}")


def _learner_settings(name: str) -> dict[str, Any]:
    """Every parameter of the learner: its own defaults, then its shipped config file if there is one."""
    parameters = parameters_of(find_learner(name))
    settings = {n: deepcopy(p.default) for n, p in parameters.items() if p.default is not inspect.Parameter.empty}
    for key, value in settings.items():
        if parse_value(repr(value)) != value:
            raise UserError(f"learner.{key}: default {value!r} of {name}: is not a plain value; configs cannot hold it")
    path = shipped("configs") / "learners" / f"{_short(name)}.py"
    if ".py:" not in name and path.is_file():
        own = {key: value for key, value in _load(path)["learner"].items() if key != "type"}
        _lay_over_learner(settings, {_short(name): own}, name, path)
    return settings


def _lay_over_learner(settings: dict[str, Any], sections: Any, learner: str, file: Path) -> None:
    """Lay what a file's ``learners = dict(<name>=dict(...))`` says of this learner over its settings."""
    if not isinstance(sections, dict):
        raise UserError(f"{file}: learners: {sections!r}: is not dict(<learner>=dict(key=value))")
    for name, section in sections.items():
        if name == _short(learner):
            _refuse_unknown(section, parameters_of(find_learner(learner)), f"{file}: learners.{name}")
            for key in (key for key in section if settings.get(key) and isinstance(settings[key], dict)):
                _refuse_unknown(section[key], settings[key], f"{file}: learners.{name}.{key}")
            settings.update(_nested(settings, section))
        else:
            _refuse_unknown(section, _parameters_of_registered(name, file), f"{file}: learners.{name}")


def _refuse_unknown(section: Any, known: Iterable[str], where: str) -> None:
    if not isinstance(section, dict):
        raise UserError(f"{where}: {section!r}: is not a dict(...) of {', '.join(known)}")
    for key in section:
        if key not in known:
            raise UserError(f"{where}.{key}: no such key; known: {', '.join(known) or 'none'}")


def _parameters_of_registered(name: str, file: Path) -> dict[str, inspect.Parameter]:
    try:
        return parameters_of(find_learner(name))
    except UserError as error:
        raise UserError(f"{file}: learners.{name}: {error}") from error


def _nested(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``new`` laid over ``old``, dictionaries key by key."""
    both = {k: _nested(old[k], v) for k, v in new.items() if isinstance(v, dict) and isinstance(old.get(k), dict)}
    return {**old, **new, **both}


def _check_preset(part: dict[str, Any], file: Path) -> None:
    for key in part:
        if key not in PRESET_PARTS:
            raise UserError(
                f"{file}: {key}: a preset cannot set it; it can set {', '.join((*PRESET_PARTS, 'learners'))}"
            )
    if not isinstance(part.get("segmenter", {}), dict) or "type" in part.get("segmenter", {}):
        raise UserError(f"{file}: segmenter: {part['segmenter']!r}: a preset gives dict(key=value) without a type")


def _override(config: dict[str, Any], text: str) -> None:
    key, equals, raw = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: is not key=value; write for example --set schedule.base.iterations=300")
    if key.startswith(FIXED):
        raise UserError(f"--set {key}: cannot be set; say it by the argument, --learner, --segmenter or --name")
    *path, last = key.split(".")
    free = path[:1] == ["segmenter"]  # its constructor knows all its keys, also those its file leaves out
    place: Any = config
    for depth, name in enumerate(path):
        if free and depth and isinstance(place, dict) and place.get(name) is None:
            place[name] = {}
        if not isinstance(place, dict) or name not in place:
            raise UserError(_unknown(key, place, ".".join(path[:depth])))
        place = place[name]
    if not isinstance(place, dict) or not (free or last in place or last in _learner_keys(config, path)):
        raise UserError(_unknown(key, place, ".".join(path)))
    value = parse_value(raw)
    _check_type(key, place.get(last), value)
    whole = isinstance(place.get(last), int) and isinstance(value, float)  # 300.0 is a number of iterations
    place[last] = int(value) if whole else value


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
