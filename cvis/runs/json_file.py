"""The one reader of the JSON files in a run's folder, with one voice for what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from cvis.errors import UserError

AGAIN = "copy it again from where the run was made, or remove it and run the same `cvis run` again"


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where there is no file.

    Raises:
        UserError: the file cannot be read, is not complete JSON, or holds no object.
    """
    try:
        return parse_json(path, path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error


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
