"""The ``metrics.json`` of one finished run: read, checked, and nothing assumed."""

from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from cvis.errors import UserError
from cvis.evaluation.measures import METRICS, STEP_METRICS
from cvis.runs.protocol import conditions, signature

SCHEMA = 1
FIELDS: dict[str, type | tuple[type, ...]] = {
    "scenario": str,
    "learner": str,
    "segmenter": str,
    "seed": int,
    "protocol": dict,
    "steps": list,
    "final": dict,
}
NAMES = ("scenario", "learner", "segmenter")
REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # bidirectional classes of Unicode


@dataclass(frozen=True)
class TextEncoder:
    """The text encoder that a learner took class names through. Other weights make other rows."""

    model: str
    pretrained: str  # as configured: random, a tag, or a path
    sha256: str | None = None  # of the weight file; None for random weights

    @property
    def key(self) -> tuple[str, str]:
        """What makes it this one: a weight file that was moved is still the same."""
        return self.model, self.sha256 or self.pretrained

    @property
    def is_random(self) -> bool:
        return self.pretrained == "random"

    @property
    def note(self) -> str:
        """What a learner's name must be followed by, wherever its numbers are shown."""
        return "random text encoder" if self.is_random else ""

    def __str__(self) -> str:
        kind = "random text encoder" if self.is_random else self.pretrained
        return ", ".join([kind, self.model, *([self.sha256[:8]] if self.sha256 else [])])


def labelled(label: str, note: str) -> str:
    """A row's label as printed, with what it alone would hide.

    >>> labelled("crisp", "random text encoder"), labelled("finetune", "")
    ('crisp [random text encoder]', 'finetune')
    """
    return f"{label} [{note}]" if note else label


@dataclass(frozen=True)
class RunResult:
    """One finished run: one learner on one stream with one seed. Metrics are percentages (x100).

    Attributes:
        learner: what folder and command line call the row.
        label: what tables call it; the learner where the file has none.
        classes: data-set id -> name.
        groups: the classes of every step, in learning order.
        run_id: the first 12 hex digits of the sha256 of its metrics.json.
    """

    path: Path
    scenario: str
    learner: str
    segmenter: str
    seed: int
    protocol: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    final: dict[str, Any]
    upper_bound: bool = False  # saw the whole stream at once, as joint training does
    text_encoder: TextEncoder | None = None
    label: str = ""
    classes: dict[int, str] = field(default_factory=dict)
    groups: tuple[tuple[int, ...], ...] = ()
    run_id: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.learner)

    @property
    def name(self) -> str:
        """As printed: one that rests on random text features says so."""
        return labelled(self.label, self.text_encoder.note if self.text_encoder else "")

    @property
    def method(self) -> tuple[str, ...]:
        """What the runs of one row share beside the protocol: the learner and its text encoder."""
        return (self.learner, *(self.text_encoder.key if self.text_encoder else ()))

    @property
    def conditions(self) -> dict[str, Any]:
        """What must be equal in all runs that are ranked together: the protocol, and how many classes are averaged."""
        return conditions(self.protocol, self.steps)

    @property
    def cell(self) -> tuple[str, str, str, int]:
        """The place in a table that it claims: scenario, segmenter, learner, seed."""
        return (self.scenario, self.segmenter, self.learner, self.seed)

    @property
    def identity(self) -> tuple[object, ...]:
        """What two copies of one run share."""
        return (*self.cell, self.method, signature(self.conditions))


def read_run(path: Path) -> RunResult:
    """One ``metrics.json`` of a whole run.

    Raises:
        UserError: not readable, not JSON, another schema, a field that is missing or of the wrong type, a
            name that cannot be printed on one line, or a metric that is not a number.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    content, flaw = _parse(path, text)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else None
        raise UserError(f"{path}: schema: {found!r:.80} is not {SCHEMA}; it is of another version of cvis")
    if content.get("final") is None:
        raise UserError(f"{path}: final: is missing: the run is unfinished; run the same `cvis run` again")
    _check_fields(path, content)
    if not content["steps"] or not all(isinstance(step, dict) for step in content["steps"]):
        raise UserError(f"{path}: steps: has no finished step; run the same `cvis run` again")
    _check_metrics(path, "final", content["final"])
    for index, step in enumerate(content["steps"]):
        _check_metrics(path, f"steps[{index}]", step)
    if flaw:
        raise UserError(
            f"{path}: holds what JSON does not have, NaN, Infinity or half a character ({flaw}); "
            f"run the same `cvis run` again"
        )
    values = {name: content[name] for name in FIELDS}
    values["steps"] = tuple(content["steps"])
    return RunResult(
        path=path.parent,
        **values,
        upper_bound=bool(content.get("upper_bound", content["learner"] == "joint")),
        text_encoder=_text_encoder(path, content.get("text_encoder")),
        label=_label(path, content.get("label")),
        classes=_classes(path, content.get("classes")),
        groups=_groups(path, content.get("groups")),
        run_id=hashlib.sha256(text).hexdigest()[:12],
    )


def _parse(path: Path, text: bytes) -> tuple[Any, str]:
    """The content, and what makes it no JSON in the strict sense, NaN say; empty if it is."""
    try:
        return orjson.loads(text), ""
    except orjson.JSONDecodeError as error:
        flaw = str(error)
    try:  # what is read can be named
        return json.loads(text), flaw
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not complete JSON ({error}); run the same `cvis run` again") from error


def _wrong(path: Path, name: str, value: Any) -> UserError:
    return UserError(f"{path}: {name}: {value!r:.80} is not what schema {SCHEMA} has there")


def _check_name(path: Path, where: str, name: str) -> None:
    """Names are printed: none may be invisible, move a terminal's cursor, or turn the text around it."""
    hidden = any(unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in REORDERING for c in name)
    if hidden or not name.strip():
        reason = "holds control characters" if hidden else "is empty"
        raise UserError(f"{path}: {where}: {name!a:.80} {reason}; a name is text on one line")


def _check_fields(path: Path, content: dict[str, Any]) -> None:
    for name, kind in FIELDS.items():
        if not isinstance(content.get(name), kind) or isinstance(content.get(name), bool):
            raise _wrong(path, name, content.get(name))
    for name in NAMES:
        _check_name(path, name, content[name])
    if isinstance(init := content["protocol"].get("init"), str):
        _check_name(path, "protocol.init", init)


def _label(path: Path, content: Any) -> str:
    """Empty in files older than the field."""
    if content is None:
        return ""
    if not isinstance(content, str) or not content.strip():
        raise _wrong(path, "label", content)
    label = " ".join(content.split())
    _check_name(path, "label", label)
    return label


def _classes(path: Path, content: Any) -> dict[int, str]:
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(c.isdecimal() and isinstance(n, str) for c, n in content.items()):
        raise _wrong(path, "classes", content)
    for c, name in content.items():
        _check_name(path, f"classes.{c}", name)
    return {int(c): name for c, name in content.items()}


def _groups(path: Path, content: Any) -> tuple[tuple[int, ...], ...]:
    if content is None:
        return ()
    if not isinstance(content, list) or not all(
        isinstance(group, list) and all(type(c) is int for c in group) for group in content
    ):
        raise _wrong(path, "groups", content)
    return tuple(map(tuple, content))


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
            raise UserError(f"{path}: {where}.{name}: {value!r:.60} is not a number; run the same `cvis run` again")
