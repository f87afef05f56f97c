"""The ``metrics.json`` of one finished run: read, checked, and nothing assumed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from cvis.errors import UserError, wrong_name
from cvis.evaluation.measures import METRICS, STEP_METRICS
from cvis.runs.paths import SCHEMA
from cvis.runs.record import AGAIN, parse_json, read_bytes
from cvis.runs.result import RunResult, TextEncoder

FIELDS: dict[str, type | tuple[type, ...]] = {
    "scenario": str,
    "learner": str,
    "segmenter": str,
    "seed": int,
    "protocol": dict,
    "classes": dict,
    "groups": list,
    "steps": list,
    "final": dict,
}
NAMES = ("scenario", "learner", "segmenter")


def read_run(path: Path) -> RunResult:
    """One ``metrics.json`` of a whole run.

    Raises:
        UserError: missing, not readable, not JSON, another schema, a field that is missing or of the wrong type, a
            name that cannot be printed on one line, or a metric that is not a number.
    """
    text = read_bytes(path)
    if text is None:
        raise UserError(f"{path}: does not exist: the run is unfinished; run the same `cvis run` again")
    content = parse_json(path, text)
    _check_fields(path, content)
    steps, groups = content["steps"], _groups(path, content["groups"])
    _check_metrics(path, "final", content["final"])
    for index, step in enumerate(steps):
        _check_metrics(path, f"steps[{index}]", step)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"{path}: holds what JSON does not have, NaN, Infinity or half a character ({error}); {AGAIN}"
        ) from error
    return RunResult(
        path=path.parent,
        **{name: content[name] for name in (*NAMES, "seed", "protocol", "final")},
        classes=_classes(path, content["classes"], groups),
        groups=groups,
        learned=_learned(path, steps, groups),
        steps=tuple(steps),
        upper_bound=bool(content.get("upper_bound", content["learner"] == "joint")),
        text_encoder=_text_encoder(path, content.get("text_encoder")),
        label=_label(path, content.get("label")) or content["learner"],
        run_id=hashlib.sha256(text).hexdigest()[:12],
    )


def new_classes(where: str, step: Mapping[str, Any]) -> tuple[int, ...]:
    """The classes that a step learned, from its metrics; ``where`` begins the message.

    Raises:
        UserError: they are not a list of category ids.
    """
    classes = step.get("new_classes")
    if not isinstance(classes, list) or not all(type(c) is int for c in classes):
        raise UserError(f"{where}new_classes: {classes!r:.60}: is not a list of category ids; {AGAIN}")
    return tuple(classes)


def _wrong(path: Path, name: str, value: Any) -> UserError:
    return UserError(f"{path}: {name}: {value!r:.80} is not what schema {SCHEMA} has there")


def _check_name(path: Path, where: str, name: str) -> None:
    if reason := wrong_name(name):
        raise UserError(f"{path}: {where}: {name!a:.80} {reason}; a name is text on one line")


def _check_fields(path: Path, content: dict[str, Any]) -> None:
    if (schema := content.get("schema")) != SCHEMA:
        raise UserError(f"{path}: schema: {schema!r:.80} is not {SCHEMA}; it is of another version of cvis")
    for name, kind in FIELDS.items():
        if not isinstance(content.get(name), kind) or isinstance(content.get(name), bool):
            raise _wrong(path, name, content.get(name))
    for name in NAMES:
        _check_name(path, name, content[name])
    for where, text in _texts("protocol", content["protocol"]):
        _check_name(path, where, text)
    if not content["steps"] or not all(isinstance(step, dict) for step in content["steps"]):
        raise UserError(f"{path}: steps: has no finished step; {AGAIN}")


def _texts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in a value that is not empty, with its place."""
    if isinstance(value, str):
        yield from [(where, value)] if value else ()
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(f"{where}.{key}", inner)


def _label(path: Path, content: Any) -> str:
    """Empty in files older than the field."""
    if content is None:
        return ""
    if not isinstance(content, str) or not content.strip():
        raise _wrong(path, "label", content)
    label = " ".join(content.split())
    _check_name(path, "label", label)
    return label


def _classes(path: Path, content: dict[str, Any], groups: Sequence[Sequence[int]]) -> dict[int, str]:
    if not all(c.isdecimal() and isinstance(name, str) for c, name in content.items()):
        raise _wrong(path, "classes", content)
    for c, name in content.items():
        _check_name(path, f"classes.{c}", name)
    classes = {int(c): name for c, name in content.items()}
    if nameless := {c for group in groups for c in group} - classes.keys():
        raise UserError(f"{path}: classes: has no name of class {min(nameless)} in groups; {AGAIN}")
    return classes


def _groups(path: Path, content: list[Any]) -> tuple[tuple[int, ...], ...]:
    if not all(isinstance(group, list) and all(type(c) is int for c in group) for group in content):
        raise _wrong(path, "groups", content)
    return tuple(map(tuple, content))


def _learned(path: Path, steps: Sequence[Any], groups: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    learned = tuple(new_classes(f"{path}: steps[{t}].", step) for t, step in enumerate(steps))
    to_come = [c for group in groups for c in group]
    for t, classes in enumerate(learned):
        for c in classes:
            if c not in to_come:
                raise UserError(f"{path}: steps[{t}].new_classes: {c}: is no class of groups, or comes twice; {AGAIN}")
            to_come.remove(c)
    return learned


def _text_encoder(path: Path, content: Any) -> TextEncoder | None:
    """None where the learner has none, and in files older than the field."""
    if content is None:
        return None
    kinds = {"model": str, "pretrained": str, "sha256": str | None}
    if not isinstance(content, dict) or not all(isinstance(content.get(k), kind) for k, kind in kinds.items()):
        raise _wrong(path, "text_encoder", content)
    for key in ("model", "pretrained"):
        _check_name(path, f"text_encoder.{key}", content[key])
    return TextEncoder(content["model"], content["pretrained"], content.get("sha256"))


def _check_metrics(path: Path, where: str, metrics: dict[str, Any]) -> None:
    """What a table reads is a finite number, or null where it is undefined."""
    for name in sorted({*METRICS, *STEP_METRICS} & metrics.keys()):
        value = metrics[name]
        if value is not None and (type(value) not in (int, float) or not abs(value) <= sys.float_info.max):
            raise UserError(f"{path}: {where}.{name}: {value!r:.60} is not a number; {AGAIN}")
