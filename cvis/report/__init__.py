"""Tables from ``metrics.json`` files, and from nothing else: no model, no torch, no data set."""

from cvis.report.table import Block, Cell, Group, Row, comparison, per_step
from cvis.runs.find import LeftOut, RunResult, Store, TextEncoder, load_runs

__all__ = [
    "Block",
    "Cell",
    "Group",
    "LeftOut",
    "Row",
    "RunResult",
    "Store",
    "TextEncoder",
    "comparison",
    "load_runs",
    "per_step",
]
