"""Numbers that papers printed: the files of ``benchmarks/published``, read and checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cvis.errors import UserError
from cvis.evaluation.measures import METRICS, STEP_METRICS
from cvis.files import shipped

SCHEMA = 1


@dataclass(frozen=True)
class PublishedRow:
    """One printed row; numbers are percentages (x100)."""

    label: str  # as printed
    learner: str  # ours of the same method, whether it exists or not
    final: dict[str, float]
    steps: dict[str, tuple[float, ...]]  # metric -> a value per step of the stream


@dataclass(frozen=True)
class PublishedTable:
    """Rows that were measured together."""

    scenario: str  # our name of the stream
    segmenter: str
    init: str
    title: str
    notes: tuple[str, ...]
    rows: tuple[PublishedRow, ...]


def load_published(folder: Path | None = None) -> tuple[PublishedTable, ...]:
    """The tables of all ``.yaml`` files in a folder, by default of the shipped ones.

    Raises:
        UserError: a file is missing or not what its schema says.
    """
    folder = folder or shipped("benchmarks/published")
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise UserError(f"{folder}: has no .yaml file of published numbers; install cvis again")
    return tuple(table for file in files for table in _read(file))


def _read(file: Path) -> list[PublishedTable]:
    import yaml

    try:
        content = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}; check its permissions") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: is not YAML: {' '.join(str(error).split())}; correct it there") from error
    get = partial(_get, f"{file}: ", content)
    if get("schema", int) != SCHEMA:
        raise UserError(f"{file}: schema: {content['schema']!r}: is not {SCHEMA}; it is of another version of cvis")
    source, notes = get("source", str), _texts(f"{file}: ", content)
    tables = []
    for i, table in enumerate(get("tables", list)):
        where = f"{file}: tables[{i}]."
        rows = [_read_row(f"{where}rows[{j}].", row) for j, row in enumerate(_get(where, table, "rows", list))]
        tables.append(
            PublishedTable(
                scenario=_get(where, table, "scenario", str),
                segmenter=get("segmenter", str),
                init=get("init", str),
                title=f"{source}, {_get(where, table, 'title', str)}",
                notes=(*notes, *_texts(where, table)),
                rows=tuple(rows),
            )
        )
    return tables


def _read_row(where: str, row: Any) -> PublishedRow:
    final = _get(where, row, "final", dict)
    steps = _get(where, row, "steps", dict)
    for name, value in final.items():
        _check(f"{where}final.", name, [value], METRICS)
    for name, values in steps.items():
        _check(f"{where}steps.", name, values, STEP_METRICS)
    return PublishedRow(
        label=_get(where, row, "method", str),
        learner=_get(where, row, "learner", str),
        final={name: float(value) for name, value in final.items()},
        steps={name: tuple(map(float, values)) for name, values in steps.items()},
    )


def _get(where: str, content: Any, key: str, kind: type) -> Any:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        raise UserError(f"{where}{key}: {value!r:.60}: is not a {kind.__name__}; correct it there")
    return value


def _texts(where: str, content: Any) -> tuple[str, ...]:
    notes = content.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise UserError(f"{where}notes: {notes!r:.60}: is not a list of texts; correct it there")
    return tuple(notes)


def _check(where: str, name: str, values: Any, known: Iterable[str]) -> None:
    if name not in known:
        raise UserError(f"{where}{name}: is no metric; choose of {', '.join(known)}")
    for value in values if isinstance(values, list) else [values]:
        if type(value) not in (int, float) or not abs(value) <= 100:
            raise UserError(f"{where}{name}: {value!r:.60}: is not a percentage; correct it there")
    if not isinstance(values, list) or not values:
        raise UserError(f"{where}{name}: {values!r:.60}: is not a list with a number per step; correct it there")
