"""cvis: the benchmark suite for continual video instance segmentation.

The public names are loaded when they are first asked for: ``import cvis`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "LEARNERS": "cvis.learners",
    "Learner": "cvis.learners",
    "Scenario": "cvis.scenario",
    "Task": "cvis.scenario",
    "load_scenario": "cvis.scenario",
    "VideoAP": "cvis.evaluation",
    "load_runs": "cvis.notebook",
    "predict": "cvis.notebook",
    "run": "cvis.notebook",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cvis' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """For completion at a prompt, which would not see what is not loaded yet."""
    return sorted({*globals(), *__all__})
