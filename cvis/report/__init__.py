"""Tables from ``metrics.json`` files, and from nothing else: no model, no torch, no data set.

Every command prints through a part of this; what reads runs is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvis.report.table import comparison, per_step
    from cvis.runs.find import load_runs

__all__ = ["comparison", "load_runs", "per_step"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cvis.report import table
    from cvis.runs import find

    return getattr(find if name == "load_runs" else table, name)
