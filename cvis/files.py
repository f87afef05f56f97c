"""Where things live on disk: the shipped data files, and the user's cache; and how those in TOML are read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from cvis.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def shipped(folder: str) -> Path:
    """``scenarios``, ``configs``, ``benchmarks/published``: beside the package in a checkout, within it in a wheel."""
    package = Path(__file__).resolve().parent
    packaged = package / "_files" / folder
    return packaged if packaged.is_dir() else package.parent / folder


def cache_dir() -> Path:
    """The user's cache: ``$CVIS_CACHE``, else ``$XDG_CACHE_HOME/cvis``, else ``~/.cache/cvis``."""
    if own := os.environ.get("CVIS_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "cvis"


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UserError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a TOML file: {error}; correct it") from error
