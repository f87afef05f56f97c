"""Whether two tables put the same methods in one order: Kendall's tau-b, and how sure the seeds make it.

The interval is over seeds, not over methods: these methods are compared, and seeds are what chance decides of their
order. It draws the seeds of each table with the weights of the Bayesian bootstrap (:mod:`cvis.evaluation.bootstrap`),
one weight for all methods of a table, since they share a seed's step-0 model. Of two or three seeds such an interval is
too narrow rather than too wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cvis.evaluation.bootstrap import video_weights

Seeds = Mapping[int, float]
"""A method's value with each seed."""
PRINTED = 2
"""Decimals: values that print alike are tied, as in the ranks of tables."""


class RankCorrelation(NamedTuple):
    """Tau-b over ``n`` methods, and its 95 % interval.

    Attributes:
        lacks: why there is no tau, or no interval; empty where there is one.
    """

    tau: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    lacks: str = ""


def kendall_tau(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Kendall's tau-b (Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 1945) along the last axis.

        s_ij = sign(x_i - x_j),  t_ij = sign(y_i - y_j),  tau_b = sum s_ij t_ij / sqrt(sum s_ij^2 sum t_ij^2),  i < j

    Args:
        here, there: [..., n], values of the same n methods.

    Returns:
        [...], in [-1, 1]; NaN where all values of one side are tied, or n < 2.

    >>> float(kendall_tau(np.array([1, 2, 2, 4]), np.array([10, 30, 20, 40])).round(4))  # five pairs of six, one a tie
    0.9129
    """
    first, second = np.triu_indices(here.shape[-1], 1)
    s, t = (np.sign(x[..., first] - x[..., second]) for x in (here, there))
    pairs = np.sqrt((s**2).sum(-1) * (t**2).sum(-1))
    return np.divide((s * t).sum(-1), pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)


def rank_correlation(here: Mapping[str, Seeds], there: Mapping[str, Seeds], draws: int = 1000) -> RankCorrelation:
    """Tau-b of the means over seeds, over the methods that both tables have, and its interval over seeds.

    Args:
        here, there: method -> seed -> value, one seed at least.

    >>> rank_correlation({"a": {0: 1.0}, "b": {0: 2.0}}, {"a": {0: 5.0}, "b": {0: 9.0}, "c": {0: 7.0}})
    RankCorrelation(tau=1.0, low=None, high=None, n=2, lacks='no interval: one seed')
    """
    both = [method for method in here if method in there]
    if len(both) < 2:
        return RankCorrelation(None, n=len(both), lacks="fewer than 2 in both")
    columns = [[table[method] for method in both] for table in (here, there)]
    found = kendall_tau(*(_means(column, draws, seed) for seed, column in enumerate(columns)))
    if np.isnan(found[0]):
        return RankCorrelation(None, n=len(both), lacks="all tied")
    tau = float(found[0])
    if any(len(values) < 2 for column in columns for values in column):
        return RankCorrelation(tau, n=len(both), lacks="no interval: one seed")
    low, high = (float(bound) for bound in np.nanquantile(found[1:], [0.025, 0.975]))
    return RankCorrelation(tau, low, high, len(both))


def _means(column: Sequence[Seeds], draws: int, seed: int) -> np.ndarray:
    """[1 + draws, n]: the mean of each method over its seeds, then under each draw of them."""
    seeds = sorted({each for values in column for each in values})
    weights = video_weights(len(seeds), draws, seed)
    means = []
    for values in column:
        own = weights[:, [seeds.index(each) for each in values]]
        means.append(own @ np.array(list(values.values())) / own.sum(axis=1))
    return np.round(np.stack(means, axis=1), PRINTED)
