"""Predictions in, result out: the whole evaluation in one call."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

from cvis.data.videoset import VideoSet
from cvis.data.ytvis import read_ytvis
from cvis.evaluation.ap import VideoAP
from cvis.evaluation.digest import Selection
from cvis.evaluation.result import Result
from cvis.evaluation.results import entry_name, stream_results
from cvis.types import Tracks


def score(
    ground_truth: VideoSet,
    tracks: Iterable[Tracks],
    classes: Collection[int] | None = None,
    videos: Selection = "all",
) -> Result:
    """Evaluate predictions; videos without any count as empty.

    Args:
        tracks: of the videos, in any order; several values of one video are joined as they come.
        classes: data-set ids to evaluate (default: every category of the ground truth).
        videos: see :meth:`cvis.evaluation.Digest.result`.

    Raises:
        UserError: see :meth:`VideoAP.add`.
    """
    metric = VideoAP(ground_truth, classes)
    for own in tracks:
        metric.extend(own)
    return metric.result(videos=videos)


def score_files(
    annotations: Path | str,
    predictions: Path | str,
    classes: Collection[int] | None = None,
    videos: Selection = "all",
) -> Result:
    """Evaluate a results file against an annotation file, both in YouTube-VIS format.

    The results are read entry by entry: memory does not depend on their size, nor on their order.

    Raises:
        UserError: either file is missing, damaged or does not fit the other.
    """
    metric = VideoAP(read_ytvis(Path(annotations), None), classes)
    for first, tracks in stream_results(predictions, metric.ground_truth):
        metric.extend(tracks, where=partial(entry_name, predictions, first))
    return metric.result(videos=videos)
