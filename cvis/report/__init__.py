"""Tables from ``metrics.json`` files, and from nothing else: no model, no torch, no data set."""

from cvis.report.table import Block, Group, Row, Statistic, comparison, per_step
from cvis.runs.find import LeftOut, Store, load_runs
from cvis.runs.result import RunResult, TextEncoder

__all__ = [
    "Block",
    "Group",
    "LeftOut",
    "Row",
    "RunResult",
    "Statistic",
    "Store",
    "TextEncoder",
    "comparison",
    "load_runs",
    "per_step",
]
