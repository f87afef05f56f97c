"""The configuration of a run from its sources: defaults, shipped or own files, the command line; later ones win."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import mmengine

from cvis.engine.config import Config
from cvis.errors import UserError
from cvis.files import shipped
from cvis.learners import find_learner
from cvis.learners.settings import check_settings, parameters_of
from cvis.plugins import classes_in, no_class_named
from cvis.runs.folder import short_name
from cvis.segmenters import SEGMENTERS
from cvis.validation import did_you_mean, validate

FIXED = ("names", "scenario", "learner.type", "segmenter.type")
"""What the command line says in other ways; a second way could contradict the first."""
PRESET_KEYS = ("protocol", "sampling", "schedule", "segmenter", "learners")
"""What a preset may set: what belongs to a method's publication, not to a machine."""
FILE_KEYS = (*PRESET_KEYS, "runtime")
OPEN = ("learner", "segmenter")
"""Their settings are their classes' matter; the model of the configuration does not know them."""
REQUIRED = inspect.Parameter.empty


def resolve(
    scenario: str,
    learner: str,
    segmenter: str = "mask2former_tiny",
    schedule: str | None = None,
    overrides: Iterable[str] = (),
    name: str | None = None,
    preset: str | None = None,
) -> Config:
    """The complete configuration of a run.

    Args:
        scenario: name of a shipped stream or path of a ``.toml`` file.
        learner: name, or ``path/to/file.py:Class``.
        segmenter: name of a file in ``configs/segmenters``, or path of such a file; or, for one that is built with its
            defaults, a registered name or ``path/to/file.py:Class``.
        schedule: likewise in ``configs/schedules``; by default the one named like the segmenter, else ``tiny`` for a
            tiny segmenter, else the one named like the scenario, else ``default``.
        overrides: ``key=value`` strings, e.g. ``schedule.base.iterations=300``.
        name: what folder and tables call this run, by default the learner's name and the preset's.
        preset: likewise in ``configs/presets``: settings of several parts that belong together.

    Raises:
        UserError: a file, key or value that does not exist or does not fit.
    """
    values, _ = read_files(scenario, learner, segmenter, schedule, preset)
    return settle(values, overrides, name)


def settle(values: Mapping[str, Any], overrides: Iterable[str] = (), name: str | None = None) -> Config:
    """The configuration of a run from the values of :func:`read_files`, for which several runs may share one reading.

    Raises:
        UserError: as :func:`resolve`.
    """
    values = _overridden(values, overrides, name)
    learner = values["learner"]["type"]
    settings = {key: value for key, value in values["learner"].items() if key != "type"}
    _refuse_unknown(settings, _defaults(learner), "learner")
    return validate(Config, {**values, "learner": {**check_settings(find_learner(learner), settings), "type": learner}})


def gather(
    scenario: str,
    learner: str,
    segmenter: str = "mask2former_tiny",
    schedule: str | None = None,
    overrides: Iterable[str] = (),
    name: str | None = None,
    preset: str | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of :func:`resolve` before the learner's settings are checked, and where each comes from.

    Returns:
        The values, and dotted key -> its source, of those that are not the default: ``segmenter mask2former_tiny``.
    """
    values, sources = read_files(scenario, learner, segmenter, schedule, preset)
    for override in overrides:
        key, _, raw = override.partition("=")
        sources.update(dict.fromkeys(flat({key: parse_value(raw)}), "command line"))
    return _overridden(values, overrides, name), sources


def read_files(
    scenario: str,
    learner: str,
    segmenter: str = "mask2former_tiny",
    schedule: str | None = None,
    preset: str | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The part of :func:`gather` that the chosen files say, before anything is overridden."""
    schedule = schedule or _default_schedule(scenario, segmenter)
    known = _defaults(learner)
    given = {key: value for key, value in known.items() if value is not REQUIRED}
    names = dict(
        learner=short_name(learner),
        segmenter=short_name(segmenter),
        schedule=short_name(schedule),
        preset=preset and short_name(preset),
        run="-".join(short_name(part) for part in (learner, preset) if part),
    )
    config = validate(Config, dict(scenario=scenario, learner={**given, "type": learner}, segmenter={}, names=names))
    sources: dict[str, str] = {}
    chosen = {"learners": learner, "segmenters": segmenter, "schedules": schedule, "presets": preset}
    for kind, part in chosen.items():
        if part is not None and (file := _find(kind, part)) is not None:
            content = _read(kind, file, learner)
            config = validate(Config, _laid_over(config.model_dump(), content), str(file))
            sources.update(dict.fromkeys(flat(content), f"{kind[:-1]} {short_name(part)}"))
        elif kind == "segmenters":
            config = validate(Config, {**config.model_dump(), "segmenter": {"type": part}})
    return config.model_dump(), sources


def _overridden(values: Mapping[str, Any], overrides: Iterable[str], name: str | None) -> dict[str, Any]:
    values = {**values, "names": {**values["names"], "run": name or values["names"]["run"]}}
    for override in overrides:
        values = _override(values, override)
    return values


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested groups as dotted keys; an empty group is a value.

    >>> flat({"a": {"b": 1, "c": {}}, "d": 2})
    {'a.b': 1, 'a.c': {}, 'd': 2}
    """
    parts: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict) and value
        parts.update(flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return parts


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
    tiny = ("tiny",) if short_name(segmenter).endswith("_tiny") else ()
    names = (short_name(segmenter), *tiny, short_name(scenario))
    return next((name for name in names if (shipped("configs") / "schedules" / f"{name}.py").is_file()), "default")


def _defaults(learner: str) -> dict[str, Any]:
    """Every setting of a learner with its default, or ``REQUIRED``; not to be changed."""
    kind: type = find_learner(learner)
    return _defaults_of(kind, learner)


@cache
def _defaults_of(kind: type, learner: str) -> dict[str, Any]:
    defaults = {key: parameter.default for key, parameter in parameters_of(kind).items()}
    for key, value in defaults.items():
        if value is not REQUIRED and parse_value(repr(value)) != value:
            where = f"learner.{key}: default {value!r} of {learner}"
            raise UserError(f"{where}: is not a plain value; configs cannot hold it")
    return defaults


def _find(kind: str, name: str) -> Path | None:
    """The file called ``name``; None for a learner or a registered segmenter, which need none."""
    folder = shipped("configs") / kind
    path = Path(name).expanduser() if name.endswith(".py") else folder / f"{name}.py"
    if kind == "segmenters" and name.endswith(".py") and classes_in(path):
        raise no_class_named("segmenter", name)
    if path.is_file():
        return path
    if kind == "learners" or (kind == "segmenters" and (".py:" in name or name in SEGMENTERS.names())):
        return None
    known = sorted({p.stem for p in folder.glob("*.py")} | {*(SEGMENTERS.names() if kind == "segmenters" else ())})
    raise UserError(f"{kind[:-1]}: {name!r} does not exist; {did_you_mean(name, [*known, 'a path to a .py file'])}")


def _read(kind: str, file: Path, learner: str) -> dict[str, Any]:
    """What a file sets, with what it says of this learner as ``learner``."""
    try:
        content = mmengine.Config.fromfile(str(file)).to_dict()
    except (Exception, SystemExit) as error:  # a config file is a program: it may fail in any way
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.150}"
        raise UserError(f"{file}: is not a valid config file: {reason}") from error
    if kind == "learners":
        settings = {key: value for key, value in content["learner"].items() if key != "type"}
        content = {"learners": {learner: settings}}
    possible = PRESET_KEYS if kind == "presets" else FILE_KEYS
    for key, value in content.items():
        if key not in possible:
            raise UserError(f"{file}: {key}: {value!r:.60}: cannot be set here; {did_you_mean(key, possible)}")
    segmenter, sections = content.get("segmenter"), content.pop("learners", {})
    if kind != "segmenters" and isinstance(segmenter, dict) and "type" in segmenter:
        what = f"segmenter.type: {segmenter['type']!r}"
        raise UserError(f"{file}: {what}: cannot be set here; choose the segmenter with --segmenter")
    return {**content, "learner": _section(sections, learner, file)}


def _section(sections: Any, learner: str, file: Path) -> dict[str, Any]:
    """What ``learners = dict(<name>=dict(...))`` says of this learner; what it says of others is checked too."""
    if not isinstance(sections, dict):
        raise UserError(f"{file}: learners: {sections!r:.60}: is not dict(<learner>=dict(key=value))")
    for name, section in sections.items():
        where = f"{file}: learners.{name}"
        try:
            known = _defaults(learner if name == short_name(learner) else name)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        _refuse_unknown(section, known, where)
    return sections.get(short_name(learner), {})


def _refuse_unknown(settings: Any, known: Mapping[str, Any], where: str) -> None:
    """A key that nobody reads is a typing error, also in the dictionaries among the ``known`` defaults."""
    if not isinstance(settings, dict):
        raise UserError(f"{where}: {settings!r:.60}: not possible; it is a group of keys: {', '.join(known)}")
    for key, value in settings.items():
        if key not in known:
            raise UserError(f"{where}.{key}: {value!r:.60}: no such key; {did_you_mean(key, known)}")
        if known[key] and isinstance(known[key], dict):
            _refuse_unknown(value, known[key], f"{where}.{key}")


def _laid_over(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``new`` over ``old``, dictionaries key by key."""
    both = {k: _laid_over(old[k], v) for k, v in new.items() if isinstance(v, dict) and isinstance(old.get(k), dict)}
    return {**old, **new, **both}


def _override(values: dict[str, Any], text: str) -> dict[str, Any]:
    """The values with one ``key=value``, which replaces what is there, a dictionary too."""
    key, equals, raw = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: is not key=value; write for example --set schedule.base.iterations=300")
    if key.startswith(FIXED) or key in OPEN:
        raise UserError(f"--set {key}: cannot be set; say it by the argument, --learner, --segmenter or --name")
    value = parse_value(raw)

    def put(place: dict[str, Any], name: str, *rest: str) -> dict[str, Any]:
        old = place.get(name)
        if rest:
            return {**place, name: put(old if isinstance(old, dict) else {}, *rest)}
        return {**place, name: _like(old, value, key) if key.startswith("segmenter.") else value}

    return put(values, *key.split("."))


def _like(default: Any, value: Any, key: str) -> Any:
    """The value, if it is of the type of its default; a whole number may be written as a float."""
    numbers = (int, float)
    if default is None or (value is None and not isinstance(default, (bool, dict))):
        return value
    if isinstance(default, numbers) and not isinstance(default, bool):
        fits = isinstance(value, numbers) and not isinstance(value, bool)
        fits = fits and (isinstance(default, float) or isinstance(value, int) or value.is_integer())
    else:
        fits = isinstance(value, (list, tuple) if isinstance(default, (list, tuple)) else type(default))
    if not fits:
        raise UserError(f"{key}: {value!r} is not of the type of its default {default!r}; give such a value")
    return int(value) if isinstance(default, int) and isinstance(value, float) else value
