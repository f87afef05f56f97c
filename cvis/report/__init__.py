"""Tables from ``metrics.json`` files, and from nothing else: no model, no torch, no data set."""

from cvis.report.table import comparison, per_step
from cvis.runs.find import load_runs

__all__ = ["comparison", "load_runs", "per_step"]
