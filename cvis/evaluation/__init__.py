"""Video AP and AR with the official YouTube-VIS semantics, and the measures of continual learning.

Needs numpy and pycocotools; numba makes it ten times faster. The table of metrics needs none of them, so nothing is
imported here before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvis.evaluation.ap import VideoAP, score, score_files
    from cvis.evaluation.continual import APMatrix
    from cvis.evaluation.digest import Digest
    from cvis.evaluation.result import Result
    from cvis.evaluation.results import read_results, write_results
    from cvis.evaluation.steps import final_metrics, step_metrics

__all__ = [
    "APMatrix",
    "Digest",
    "Result",
    "VideoAP",
    "final_metrics",
    "read_results",
    "score",
    "score_files",
    "step_metrics",
    "write_results",
]

_HOMES = ("ap", "continual", "digest", "result", "results", "steps")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            if hasattr(module := import_module(f"{__name__}.{home}"), name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
