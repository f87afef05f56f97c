"""The outcome of an evaluation: every number about every subset of classes is an average of two arrays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from cvis.evaluation.accumulate import UNDEFINED
from cvis.evaluation.check import chosen_classes
from cvis.evaluation.protocol import METRICS, Metric


@dataclass(frozen=True)
class Result:
    """Precision and recall of K classes; -1 where a class has no ground truth in an area range.

    A class is matched and ranked on its own, so the numbers of a subset of classes equal those of an
    evaluation of this subset alone.
    """

    classes: tuple[int, ...]  # K data-set ids, ascending
    precision: np.ndarray  # [T, R, K, A, M], in [0, 1]
    recall: np.ndarray  # [T, K, A, M]
    missing_videos: tuple[int, ...] = ()  # videos for which no predictions came; they count as empty
    videos: str = "all"  # which ones were scored: all, or with_gt, those in which one of the classes is annotated
    num_videos: int = 0  # how many

    def summary(self, classes: Collection[int] | None = None) -> dict[str, float | None]:
        """The official twelve numbers over ``classes`` (default: all), x100, not rounded.

        Classes without ground truth are left out of the means; ``None`` where none is left.

        Raises:
            UserError: a class that was not evaluated.
        """
        chosen = chosen_classes(classes, self.classes, "among the evaluated classes")
        columns = [self.classes.index(category_id) for category_id in chosen]
        return {name: self._mean(metric, columns) for name, metric in METRICS.items()}

    def per_class(self) -> dict[int, dict[str, float | None]]:
        """The twelve numbers of each class, ``AP`` in place of ``mAP``; all None without ground truth."""
        table = {}
        for category_id in self.classes:
            numbers = self.summary([category_id])
            table[category_id] = {"AP": numbers.pop("mAP"), **numbers}
        return table

    def _mean(self, metric: Metric, columns: list[int]) -> float | None:
        curve = self.precision if metric.curve == "precision" else self.recall
        values = curve[..., columns, metric.area, metric.limit]
        if metric.threshold is not None:
            values = values[metric.threshold]
        defined = values[values > UNDEFINED]
        return 100 * float(defined.mean()) if defined.size else None
