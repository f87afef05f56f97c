"""Learners and segmenters by name: our own, those of installed packages, and a class in the user's file."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from mmengine.registry import Registry

from cvis.discovery import Offers, Origin, modules_of
from cvis.errors import UserError
from cvis.files import shipped
from cvis.validation import did_you_mean

Kind = TypeVar("Kind")
FILE = "path/to/file.py:Class"


class Plugins(Generic[Kind]):
    """What can be named where a run asks for a learner or a segmenter.

    Our own are the classes that the modules of ``package`` register, packages offer theirs by entry points of the
    group ``package``, and ``path/to/file.py:Class`` names a class in a file.

    >>> from cvis import LEARNERS
    >>> "crisp" in LEARNERS.names(), LEARNERS.find("joint").__name__, LEARNERS.origin("joint").package
    (True, 'Joint', 'cvis')

    Args:
        kind: what error messages call such a class.
        check: returns a class that can be used, and raises UserError, in which it names the second argument, for
            anything else.
    """

    def __init__(self, kind: str, package: str, check: Callable[[Any, str], type[Kind]]) -> None:
        self.kind, self.package, self.check = kind, package, check
        self.registry = Registry(kind, scope="cvis")
        self.offers = Offers(package, self.taken, lambda found, origin: check(found, f"entry point {origin.name}"))

    def register_module(self, name: str) -> Callable[[type], type]:
        """The decorator of a class: ``@LEARNERS.register_module(name="mine")``."""
        return self.registry.register_module(name=name)

    def names(self) -> list[str]:
        """All that can be named, sorted, without those that do not load."""
        return sorted({**self.offers.values(), **self._registered()})

    def taken(self) -> set[str]:
        """Names that no package can have: of classes, and of their files in ``configs``."""
        return {*self._registered(), *(path.stem for path in (shipped("configs") / f"{self.kind}s").glob("*.py"))}

    def find(self, name: str) -> type[Kind]:
        """The class called ``name``, or ``path/to/file.py:Class``.

        Raises:
            UserError: no such name, file or class, or a plugin that does not load.
        """
        if ".py:" in name or name.endswith(".py"):
            return self._from_file(name)
        found = self._registered().get(name) or self.offers.values().get(name)
        if found is not None:
            return found
        if reason := self.offers.reason(name):
            raise UserError(f"{self.kind}: {name!r}: does not load: {reason}; correct or uninstall the package")
        known = sorted({*self.names(), *self.taken()})
        raise UserError(f"{self.kind}: {name!r} does not exist; {did_you_mean(name, [*known, FILE])}")

    def origin(self, name: str) -> Origin:
        """Who offers the class called ``name``; what a file holds, or has registered, is no package's."""
        foreign = not self.registry.module_dict.get(name, Plugins).__module__.startswith("cvis.")
        if ".py:" in name or (foreign and name not in self.offers.values()):
            return Origin(name, "-", "")
        return self.offers.origin(name)

    def broken(self) -> list[Origin]:
        """Plugins that should be there and do not load."""
        return self.offers.broken()

    def _registered(self) -> dict[str, type[Kind]]:
        _import_all(self.package, tuple(sys.modules[self.package].__path__))
        return self.registry.module_dict

    def _from_file(self, name: str) -> type[Kind]:
        file, _, attribute = name.rpartition(":") if ".py:" in name else (name, "", "")
        path = Path(file).expanduser().absolute()
        if not path.is_file():
            raise UserError(f"{self.kind}: {file}: no such file; there is no {path}, give {FILE}")
        try:
            module = _module(path.resolve(), path.stat().st_mtime_ns)
        except (Exception, SystemExit) as error:  # the user's file may fail in any way; say how, in one line
            raise UserError(f"{self.kind}: {file}: does not import: {type(error).__name__}: {error}") from error
        if not attribute:
            raise no_class_named(self.kind, file)
        if not hasattr(module, attribute):
            hint = did_you_mean(attribute, classes_in(path))
            raise UserError(f"{self.kind}: {file}: has no class {attribute!r}; {hint}")
        return self.check(getattr(module, attribute), name)


@cache
def _import_all(package: str, path: tuple[str, ...]) -> None:
    """Once for each path that the package has had; a look at its folders for each name that is found adds up."""
    for _ in modules_of(package):
        pass


def classes_in(path: Path) -> list[str]:
    """The names of the classes that a Python file defines, without running it; none if it cannot be read as one.

    >>> classes_in(Path(__file__))
    ['Plugins']
    """
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []
    return [node.name for node in body if isinstance(node, ast.ClassDef)]


def no_class_named(kind: str, file: str) -> UserError:
    """What to say of a Python file that was given without its class."""
    names = [f"{file}:{name}" for name in classes_in(Path(file).expanduser())]
    return UserError(f"{kind}: {file}: names no class; choose {' or '.join(names) or FILE}")


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
