"""Differences between two methods, seed by seed.

Two runs of one seed share the step-0 model and the order of the clips, so their difference varies less than either
of them does. Only seeds that both have are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

LEVEL = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference over ``n`` pairs with its confidence interval.

    ``mean`` is None without a pair; ``low`` and ``high`` are None with fewer than two.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0


def paired_difference(
    ours: Mapping[int, float], baseline: Mapping[int, float], level: float = LEVEL
) -> PairedDifference:
    """``ours`` minus ``baseline``, with the interval of a paired Student t-test.

    Args:
        ours: seed -> value.
        baseline: likewise.
        level: of confidence, between 0 and 1.

    >>> paired_difference({0: 3.0, 1: 5.0, 7: 9.0}, {0: 1.0, 1: 2.0}).mean
    2.5
    """
    gains = [ours[seed] - baseline[seed] for seed in sorted(ours.keys() & baseline.keys())]
    if not gains:
        return PairedDifference(None)
    mean = fmean(gains)
    if len(gains) == 1:
        return PairedDifference(mean, n=1)
    half = _quantile(0.5 + level / 2, len(gains) - 1) * stdev(gains) / sqrt(len(gains))
    return PairedDifference(mean, mean - half, mean + half, len(gains))


def _quantile(probability: float, degrees_of_freedom: int) -> float:
    from scipy.special import stdtrit  # scipy.stats would take a second to load

    return float(stdtrit(degrees_of_freedom, probability))
