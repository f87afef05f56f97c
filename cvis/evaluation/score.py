"""Predictions in, result out: the whole evaluation in one call."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_ytvis
from cvis.evaluation.ap import VideoAP
from cvis.evaluation.result import Result
from cvis.evaluation.results import read_results
from cvis.types import Tracks


def score(ground_truth: VideoSet, tracks: Iterable[Tracks], classes: Collection[int] | None = None) -> Result:
    """Evaluate predictions; videos without any count as empty.

    Args:
        tracks: at most one value per video, in any order.
        classes: data-set ids to evaluate (default: every category of the ground truth).

    Raises:
        UserError: see :meth:`VideoAP.add`.
    """
    metric = VideoAP(ground_truth, classes)
    for own in tracks:
        metric.add(own)
    return metric.result()


def score_files(annotations: Path | str, predictions: Path | str, classes: Collection[int] | None = None) -> Result:
    """Evaluate a results file against an annotation file, both in YouTube-VIS format.

    Raises:
        UserError: either file is missing, damaged or does not fit the other.
    """
    ground_truth = read_ytvis(Path(annotations), None)
    return score(ground_truth, read_results(predictions, ground_truth), classes)
