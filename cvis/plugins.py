"""Learners and segmenters by name: our own, those of installed packages, and a class in the user's file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from mmengine.registry import Registry

from cvis import __version__
from cvis.discovery import modules_of
from cvis.errors import UserError
from cvis.validation import did_you_mean

Kind = TypeVar("Kind")
FILE = "path/to/file.py:Class"


@dataclass(frozen=True)
class Origin:
    """Where a name comes from; ``error`` says why a plugin could not be loaded."""

    name: str
    package: str
    version: str
    error: str | None = None


class Plugins(Generic[Kind]):
    """What can be named where a run asks for a learner or a segmenter.

    Our own are the classes that the modules of ``package`` register, packages offer theirs by entry points of the
    group ``package``, and ``path/to/file.py:Class`` names a class in a file.

    Args:
        kind: what error messages call such a class.
        check: returns a class that can be used, and raises UserError, in which it names the second argument, for
            anything else.
    """

    def __init__(self, kind: str, package: str, check: Callable[[Any, str], type[Kind]]) -> None:
        self.kind, self.package, self.check = kind, package, check
        self.registry = Registry(kind, scope="cvis")
        self._loaded = False
        self._plugins: dict[str, Origin] = {}

    def register_module(self, name: str) -> Callable[[type], type]:
        """The decorator of a class: ``@LEARNERS.register_module(name="mine")``."""
        return self.registry.register_module(name=name)

    def names(self) -> list[str]:
        """All that can be named, sorted, without those that do not load."""
        self._load()
        return sorted(self.registry.module_dict)

    def find(self, name: str) -> type[Kind]:
        """The class called ``name``, or ``path/to/file.py:Class``.

        Raises:
            UserError: no such name, file or class, or a plugin that does not load.
        """
        if ".py:" in name:
            return self._from_file(name)
        known = self.names()
        if name in known:
            return self.registry.module_dict[name]
        if name in self._plugins:
            plugin = self._plugins[name]
            raise UserError(f"{self.kind} {name!r} of package {plugin.package} does not load: {plugin.error}")
        raise UserError(f"{self.kind}: {name!r} does not exist; {did_you_mean(name, [*known, FILE])}")

    def origin(self, name: str) -> Origin:
        """Who offers the class called ``name``."""
        self._load()
        plugin = self._plugins.get(name)
        if plugin is not None and plugin.error is None:
            return plugin
        return Origin(name, "-", "") if ".py:" in name else Origin(name, "cvis", __version__)

    def broken(self) -> list[Origin]:
        """Plugins that should be there and do not load."""
        self._load()
        return [self._plugins[name] for name in sorted(self._plugins) if self._plugins[name].error]

    def _load(self) -> None:
        """A broken plugin is remembered, not raised."""
        if not self._loaded:
            self._loaded = True
            for _ in modules_of(self.package):
                pass
        for point in entry_points(group=self.package):
            if point.name not in self._plugins:
                self._plugins[point.name] = self._registered(point)

    def _registered(self, point: Any) -> Origin:
        package, version = (point.dist.name, point.dist.version) if point.dist else ("?", "?")
        try:
            found = self.check(point.load(), f"entry point {point.name} of {package}")
            self.registry.register_module(name=point.name, module=found)
        except Exception as error:  # a plugin may fail in any way, and must take nothing down
            return Origin(point.name, package, version, f"{type(error).__name__}: {error}")
        return Origin(point.name, package, version)

    def _from_file(self, name: str) -> type[Kind]:
        file, _, attribute = name.rpartition(":")
        path = Path(file).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"{self.kind}: {file}: no such file; give path/to/file.py:Class")
        try:
            module = _module(path, path.stat().st_mtime_ns)
        except (Exception, SystemExit) as error:  # the user's file may fail in any way; say how, in one line
            raise UserError(f"{self.kind}: {file}: does not import: {type(error).__name__}: {error}") from error
        if not hasattr(module, attribute):
            raise UserError(f"{self.kind}: {file}: has no class {attribute!r}; give path/to/file.py:Class")
        return self.check(getattr(module, attribute), name)


@lru_cache
def _module(path: Path, modified: int) -> ModuleType:
    """A file as a module, once: what it registers cannot be registered twice."""
    spec = importlib.util.spec_from_file_location(f"cvis_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def first_line(kind: type) -> str:
    """Of the docstring."""
    return (inspect.getdoc(kind) or "").split("\n")[0]
