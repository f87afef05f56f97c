"""Things are found where they stand: what a package offers is what lies in its folder, and no list repeats it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any


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
