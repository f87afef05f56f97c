"""What a run has written down so far, with one voice for what is wrong with its JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from cvis.errors import UserError
from cvis.files import read_bounded
from cvis.runs.paths import RunFolder

AGAIN = "copy it again from where the run was made, or remove it and run the same `cvis run` again"
PARTS = ("names", "protocol", "runtime", "learner", "segmenter")
"""Of a configuration, those that are read back."""


LARGEST = 1 << 28
"""Bytes of a JSON file of a run: 256 MiB, a thousand times what one holds."""


def read_bytes(path: Path) -> bytes | None:
    """The content of a file; None where there is none.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_bounded(path, LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where there is no file.

    Raises:
        UserError: the file cannot be read, is not complete JSON, or holds no object.
    """
    text = read_bytes(path)
    return None if text is None else parse_json(path, text)


def parse_json(path: Path, text: bytes) -> dict[str, Any]:
    """The object in the text of a file, whose NaN and Infinity are read too, so that they can be named.

    Raises:
        UserError: see :func:`read_json`.
    """
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: is not complete JSON: {error}; {AGAIN}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: top level: {type(content).__name__}: is not an object; {AGAIN}")
    return content


def read_record(folder: RunFolder) -> dict[str, Any]:
    """The content of ``run.json``.

    Raises:
        UserError: there is none, or it is damaged.
    """
    record = read_json(folder.record)
    if record is None:
        raise UserError(f"{folder.record}: does not exist: not the folder of a run; give the folder `cvis run` made")
    return record


def config_of(folder: RunFolder, record: dict[str, Any]) -> dict[str, Any]:
    """The configuration in ``run.json``; of a run by an older version without ``scenario`` and places on disk.

    Raises:
        UserError: it is missing or damaged.
    """
    config = record.get("config")
    for part in PARTS:
        value = config.get(part) if isinstance(config, dict) else None
        if not isinstance(value, dict):
            raise UserError(f"{folder.record}: config.{part}: {value!r:.60}: is not an object; {AGAIN}")
    assert isinstance(config, dict)
    return config


def finished_steps(folder: RunFolder) -> list[dict[str, Any]]:
    """The metrics of steps 0, 1, ... as far as they are complete.

    Raises:
        UserError: one of the files is damaged.
    """
    finished: list[dict[str, Any]] = []
    while (metrics := read_json(folder.step(len(finished)).metrics)) is not None:
        finished.append(metrics)
    return finished


def trained_steps(folder: RunFolder, finished: int) -> list[dict[str, Any]]:
    """What is known of the steps that follow the ``finished`` ones, as far as they are trained but not tested.

    Raises:
        UserError: one of the files is damaged.
    """
    trained: list[dict[str, Any]] = []
    while (facts := read_json(folder.step(finished + len(trained)).trained)) is not None:
        trained.append(facts)
    return trained
