"""Conformance kits: does a learner, or a segmenter, keep what the engine and the tables rely on?

For pytest, in the repository of a plugin::

    from cvis.testing import check_learner

    def test_my_method():
        check_learner(MyMethod)  # or "my_method", or "my_method.py:MyMethod"

What fails raises :class:`Failed`, with a sentence for each failed check. ``cvis check-learner`` and
``cvis check-segmenter`` are the same for a terminal.
"""

from __future__ import annotations

from importlib import import_module

_PUBLIC = {
    "Failed": "cvis.testing.check",
    "check_learner": "cvis.testing.learner",
    "check_segmenter": "cvis.testing.segmenter",
}
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cvis.testing' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
