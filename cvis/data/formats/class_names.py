"""The classes of objects in formats that know them by numbers alone: what the user's file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvis.errors import UserError, short
from cvis.files import read_bounded

_LARGEST = 1 << 28  # bytes


def read_json(path: Path) -> Any:
    """The content of a file of classes.

    Raises:
        UserError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_bounded(path, _LARGEST))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON ({error}); correct it") from error


def class_of(names: Any, keys: tuple[str, ...]) -> str:
    """The name at the end of a path of keys through dictionaries.

    Raises:
        UserError: there is none.

    >>> class_of({"bear": {"1": "animal"}}, ("bear", "1"))
    'animal'
    """
    value = names
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, str):
        place = " -> ".join(keys)
        raise UserError(f"--classes: {place}: {short(value)}: is not the name of a class; add it to the file")
    return value
