"""Segmenters by name."""

from __future__ import annotations

import inspect
from typing import Any

from cvis.errors import UserError
from cvis.plugins import Plugins
from cvis.segmenters.contract import Segmenter


def _check_segmenter(segmenter: Any, where: str) -> type[Segmenter]:
    if not (isinstance(segmenter, type) and issubclass(segmenter, Segmenter)):
        raise UserError(f"segmenter: {where}: is not a subclass of cvis.segmenters.Segmenter")
    if missing := sorted(segmenter.__abstractmethods__):
        raise UserError(f"segmenter: {where}: defines no {', '.join(missing)}; see cvis.segmenters.contract")
    return segmenter


SEGMENTERS: Plugins[Segmenter] = Plugins("segmenter", "cvis.segmenters", _check_segmenter)
"""Register a class by ``@SEGMENTERS.register_module(name=...)``."""


def build_segmenter(config: dict) -> Segmenter:
    """Build ``dict(type=name, ...)``, the ``segmenter`` of a configuration file.

    Raises:
        UserError: the type is unknown, or a key is unknown, missing or of a wrong value.
    """
    arguments = dict(config)
    name = arguments.pop("type", None)
    if not isinstance(name, str):
        raise UserError(f"segmenter.type: {name!r}: is no name; use one of {', '.join(SEGMENTERS.names())}")
    segmenter = SEGMENTERS.find(name)
    try:
        inspect.signature(segmenter).bind(**arguments)
    except TypeError as error:
        known = ", ".join(inspect.signature(segmenter).parameters)
        raise UserError(f"segmenter: {name}: {error}; its keys are {known}") from error
    try:
        built = segmenter(**arguments)
    except AttributeError as error:
        if "before Module.__init__" not in str(error):
            raise
        raise _uninitialised(segmenter) from error
    except (ValueError, TypeError, RuntimeError, AssertionError, ArithmeticError, LookupError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"segmenter: {name}: cannot be built so: {reason}; see configs/segmenters") from error
    if "_modules" not in vars(built) or "classes" not in vars(built):
        raise _uninitialised(segmenter)
    return built


def _uninitialised(segmenter: type[Segmenter]) -> UserError:
    what = f"segmenter: {segmenter.__name__}.__init__: does not call its parent's"
    return UserError(f"{what}; make super().__init__() its first line")
