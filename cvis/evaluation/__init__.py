"""Video AP and AR with the official YouTube-VIS semantics, and the measures of continual learning.

Needs numpy and pycocotools; numba makes it ten times faster.
"""

from __future__ import annotations

from cvis.evaluation.ap import VideoAP
from cvis.evaluation.continual import APMatrix
from cvis.evaluation.digest import Digest
from cvis.evaluation.result import Result
from cvis.evaluation.results import read_results, write_results
from cvis.evaluation.score import score, score_files
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
