"""The order of methods in two tables: against a sum worked by hand, scipy, and draws of seeds written out."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from cvis.evaluation.ranks import kendall_tau, rank_correlation


def one_seed(*values):
    return {f"m{i}": {0: value} for i, value in enumerate(values)}


def test_tau_with_ties_is_the_sum_over_pairs():
    """Of six pairs: ab ac ad bd agree, bc is tied here, cd is reversed: (4 - 1) / sqrt(5 * 6)."""
    found = rank_correlation(one_seed(1.0, 2.0, 2.0, 4.0), one_seed(1.0, 3.0, 5.0, 4.0))
    assert found.tau == pytest.approx(3 / np.sqrt(5 * 6))
    assert (found.low, found.n, found.lacks) == (None, 4, "no interval: one seed")


def test_tau_is_scipys():
    rng = np.random.default_rng(0)
    here, there = rng.integers(0, 5, (2, 50, 7))
    ours = kendall_tau(here, there)
    np.testing.assert_allclose(ours, [kendalltau(x, y).statistic for x, y in zip(here, there, strict=True)])


@pytest.mark.parametrize(
    ("here", "there", "n", "lacks"),
    [
        (one_seed(), one_seed(1.0), 0, "fewer than 2 in both"),
        (one_seed(1.0), one_seed(1.0, 2.0), 1, "fewer than 2 in both"),
        (one_seed(1.0, 1.001), one_seed(1.0, 2.0), 2, "all tied"),  # they print alike
    ],
)
def test_what_has_no_order_says_why(here, there, n, lacks):
    found = rank_correlation(here, there)
    assert (found.tau, found.low, found.n, found.lacks) == (None, None, n, lacks)


def test_the_interval_is_as_wide_as_the_seeds_leave_the_order_open():
    """Differences far above the seeds' are sure; two methods that change places with the seed are not."""
    sure = {"a": {0: 10.0, 1: 11.0}, "b": {0: 20.0, 1: 21.0}, "c": {0: 30.0, 2: 31.0}}
    assert rank_correlation(sure, sure)[:3] == (1.0, 1.0, 1.0)
    open_ = {**sure, "b": {0: 10.5, 1: 10.6}}  # a is below b with seed 0, above it with seed 1
    found = rank_correlation(sure, open_)
    assert (found.tau, found.high, found.lacks) == (1.0, 1.0, "")
    assert found.low == pytest.approx(1 / 3)  # of three pairs one is reversed


def test_methods_of_a_table_share_the_draws_of_its_seeds():
    """A seed that lifts all methods alike changes no order, however large its part."""
    lifted = {name: {seed: value + 100 * seed for seed in range(3)} for name, value in (("a", 1.0), ("b", 2.0))}
    assert rank_correlation(lifted, lifted)[:3] == (1.0, 1.0, 1.0)
