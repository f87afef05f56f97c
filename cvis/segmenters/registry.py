"""Segmenters by name."""

from __future__ import annotations

import inspect

from mmengine.registry import Registry

from cvis.errors import UserError
from cvis.segmenters.base import Segmenter

SEGMENTERS = Registry("segmenter", scope="cvis", locations=["cvis.segmenters.mask2former.model"])
"""Register a class by ``@SEGMENTERS.register_module(name=...)``."""


def build_segmenter(config: dict) -> Segmenter:
    """Build ``dict(type=name, ...)``, the ``segmenter`` of a configuration file.

    Raises:
        UserError: the type is unknown, or a key is unknown, missing or of a wrong value.
    """
    arguments = dict(config)
    name = arguments.pop("type", None)
    segmenter = SEGMENTERS.get(name) if isinstance(name, str) else None
    if segmenter is None:
        known = ", ".join(sorted(SEGMENTERS.module_dict))
        raise UserError(f"segmenter.type: {name!r}: no such segmenter; use one of {known}")
    try:
        inspect.signature(segmenter).bind(**arguments)
    except TypeError as error:
        known = ", ".join(inspect.signature(segmenter).parameters)
        raise UserError(f"segmenter: {name}: {error}; its keys are {known}") from error
    try:
        return segmenter(**arguments)
    except (ValueError, TypeError, RuntimeError, AssertionError, ArithmeticError, LookupError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"segmenter: {name}: cannot be built so: {reason}; see configs/segmenters") from error
