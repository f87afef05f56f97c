"""Packages that are installed, as the entry points see them: what cvis found before is forgotten."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from types import SimpleNamespace

from cvis import discovery


class Point:
    """An entry point of a package; a value that is an exception is what importing it raises."""

    def __init__(self, name, value, package="my-package", version="3.1"):
        self.name, self.value = name, value
        self.dist = SimpleNamespace(name=package, version=version)

    def load(self):
        if isinstance(self.value, BaseException):
            raise self.value
        return EntryPoint(self.name, self.value, "").load() if isinstance(self.value, str) else self.value


def install(monkeypatch, offered) -> None:
    """Let these be all entry points until the test ends.

    Args:
        offered: Offers -> points of its group.
    """
    groups = {offers.group: points for offers, points in offered.items()}
    monkeypatch.setattr(discovery, "entry_points", lambda group: groups.get(group, ()))
    for offers in offered:
        monkeypatch.setattr(offers, "_found", None)
