"""Where things live on disk: the shipped data files, and the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


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
