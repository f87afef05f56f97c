"""Things are found where they stand: what a package offers is what lies in its folder, and no list repeats it.

What an installed package offers to cvis it says by entry points: a name, and the value that has it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from cvis import __version__
from cvis.errors import UserError

Kind = TypeVar("Kind")


def modules_of(package: str) -> Iterator[ModuleType]:
    """Import and yield every module and sub-package directly inside ``package``, sorted by name.

    >>> [module.__name__ for module in modules_of("cvis.scenario")][:2]
    ['cvis.scenario.audit', 'cvis.scenario.build']
    """
    folder = importlib.import_module(package).__path__
    for name in sorted(info.name for info in pkgutil.iter_modules(folder)):
        yield importlib.import_module(f"{package}.{name}")


def declared(package: str, name: str) -> dict[str, Any]:
    """What the modules of a package declare as ``name``, by the modules' names; those that declare nothing help others.

    >>> sorted(declared("cvis.data.datasets", "DATASET"))[:2]
    ['custom', 'ovis']
    """
    modules = [module for module in modules_of(package) if hasattr(module, name)]
    return {module.__name__.rpartition(".")[2]: getattr(module, name) for module in modules}


@dataclass(frozen=True)
class Origin:
    """Where a name comes from; ``error`` says why what a package offers under it cannot be had."""

    name: str
    package: str = "cvis"
    version: str = __version__
    error: str | None = None


class Offers(Generic[Kind]):
    """What installed packages offer by the entry points of a group, loaded when it is first asked for.

    A name of ours stays ours, and of two packages the first has it. What cannot be had is remembered with its reason,
    not raised: a broken package takes nothing down.

    Args:
        group: of entry points.
        ours: the names that are taken.
        check: returns a value that can be used, and raises for anything else.
    """

    def __init__(self, group: str, ours: Callable[[], Iterable[str]], check: Callable[[Any, Origin], Kind]) -> None:
        self.group, self.ours, self.check = group, ours, check
        self._found: list[tuple[Origin, Kind | None]] | None = None

    def values(self) -> dict[str, Kind]:
        """All that can be had, by name."""
        return {origin.name: value for origin, value in self._all() if value is not None}

    def origin(self, name: str) -> Origin:
        """Whose a name is: a package's, or else ours."""
        return next((o for o, _ in self._all() if o.name == name and not o.error), Origin(name))

    def broken(self) -> list[Origin]:
        """All that cannot be had."""
        return [origin for origin, _ in self._all() if origin.error]

    def reason(self, name: str) -> str | None:
        """Why a name cannot be had, with the package that offers it; None if none does."""
        return next((f"{o.error} (package {o.package})" for o in self.broken() if o.name == name), None)

    def _all(self) -> list[tuple[Origin, Kind | None]]:
        if self._found is None:
            self._found = []  # before anything is imported: what is imported may ask
            ours = frozenset(self.ours())
            for point in entry_points(group=self.group):
                self._found.append(self._load(point, ours))
        return self._found

    def _load(self, point: EntryPoint, ours: frozenset[str]) -> tuple[Origin, Kind | None]:
        origin = Origin(point.name, *((point.dist.name, point.dist.version) if point.dist else ("?", "?")))
        try:
            if point.name in ours:
                raise UserError("the name is taken: cvis has one of its own, which is used")
            if point.name in self.values():
                raise UserError(f"the name is taken by package {self.origin(point.name).package}")
            return origin, self.check(point.load(), origin)
        except (Exception, SystemExit) as error:  # a plugin may fail in any way
            what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            return replace(origin, error=" ".join(what.split())), None
