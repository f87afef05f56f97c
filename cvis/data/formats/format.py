"""What a format of annotations is: how its files are recognised, and how they become tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cvis.data.formats.collect import Collector
from cvis.data.videoset import VideoSet
from cvis.data.ytvis import decode, read_bytes
from cvis.errors import UserError, short

AGAIN = "export it again, or mend the script that wrote it"
_KINDS: dict[type, str] = {int: "a whole number", str: "a text", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Source:
    """A file or folder of annotations."""

    path: Path

    @cached_property
    def json(self) -> Any:
        """Its content if it is a JSON file, else None; read once.

        Raises:
            UserError: it cannot be read, or is not JSON.
        """
        return decode(read_bytes(self.path), self.path) if self.path.suffix.lower() == ".json" else None

    def files(self, suffix: str) -> list[Path]:
        """The files of a kind: itself, or those in the folder and below, sorted."""
        if not self.path.is_dir():
            return [self.path] if self.path.suffix.lower() == suffix else []
        found = (p for p in self.path.rglob("*") if p.suffix.lower() == suffix and not p.name.startswith("."))
        return sorted(p for p in found if p.is_file())

    def video_of(self, file: Path) -> str:
        """The name of the video that a file in a folder belongs to: that of its folder below this one."""
        folder = file.parent.relative_to(self.path if self.path.is_dir() else self.path.parent)
        return folder.as_posix() if folder.parts else file.parent.resolve().name


@dataclass(frozen=True)
class Format:
    """A format that annotations come in.

    Attributes:
        title: what it is, for lists.
        accepts: whether a file or folder looks like it.
        read: everything in it, frames as paths.
    """

    title: str
    accepts: Callable[[Source], bool]
    read: Callable[[Source, Collector], VideoSet]


def need(record: Any, key: str, kind: type, where: str) -> Any:
    """The value of a key in a stranger's JSON.

    Raises:
        UserError: it is not there, or of another kind.
    """
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        place = f"{where}{key}" if where.endswith(" ") else f"{where}.{key}"
        raise UserError(f"{place}: {short(value)}: is not {_KINDS[kind]}; {AGAIN}")
    return value


def records(raw: Any, key: str, file: Path) -> Iterator[tuple[str, Any]]:
    """The entries of a list of a JSON file, each with its place for messages."""
    listed = need(raw, key, list, f"{file}: ")
    return ((f"{file}: {key}[{i}]", record) for i, record in enumerate(listed))
