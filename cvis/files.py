"""Where things live on disk, and how much of a file that may be a stranger's is read."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from cvis.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_TOML = 1 << 20
"""Bytes; its parser takes a second for so much."""
PACKED = 4
"""How much smaller than its content a file of tensors may be."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip file can hold."""


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


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file of ``limit`` bytes at most.

    Raises:
        UserError: it is larger, or a device such as /dev/zero, which has no end.
        OSError: it cannot be read.
    """
    if path.is_char_device() or path.is_block_device():
        raise UserError(f"{path}: is a device; give the path of a file")
    if (size := path.stat().st_size) > limit:
        raise UserError(
            f"{path}: {size} bytes: is larger than {limit}, more than such a file holds; make or copy it again"
        )
    return path.read_bytes()


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UserError: it cannot be read, is too large, or is not TOML.
    """
    try:
        return tomllib.loads(read_bounded(path, LARGEST_TOML).decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of thousands of digits, deep nesting
        raise UserError(f"{path}: is not a TOML file: {error}; correct it") from error


def zip_entry(name: str) -> zipfile.ZipInfo:
    """An entry of a zip file, stored as it is and the same on every machine: no date of today, no owner."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3  # Unix
    entry.external_attr = 0o644 << 16
    return entry


def refuse_bomb(path: Path, most: int | None = None) -> None:
    """Refuse a zip file of tensors or arrays that was made to fill the memory.

    Tensors are stored as they are, but the code in a TorchScript archive, as OpenAI's weights come in, is packed.

    Args:
        most: bytes that its entries may have together; default: several times those of the file.

    Raises:
        ValueError: they have more.
        OSError, zipfile.BadZipFile: it cannot be read.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > (limit := most or PACKED * path.stat().st_size):
            raise ValueError(f"it would unpack to {unpacked} bytes, more than {limit}")
