"""The worked examples of the measures, and what must hold of them in general."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvis.evaluation.continual import (
    APMatrix,
    average_incremental_map,
    backward_transfer,
    forgetting,
    forgetting_rate,
    forgetting_rate_max,
    forgetting_rate_normalized,
    num_never_learned,
)

MEASURES = (forgetting_rate, forgetting_rate_max, forgetting_rate_normalized, forgetting, backward_transfer)

WORKED = APMatrix(
    tasks=((1, 2, 3), (4, 5), (6,)),
    values=(
        {1: 0.50, 2: 0.40, 3: 0.0},
        {1: 0.55, 2: 0.35, 3: 0.05, 4: 0.60, 5: None},
        {1: 0.30, 2: 0.45, 3: 0.10, 4: 0.45, 5: None, 6: 0.30},
    ),
)


def stream(base: int, increment: int, classes: int = 40) -> tuple[tuple[int, ...], ...]:
    starts = range(base, classes, increment)
    return (tuple(range(base)), *(tuple(range(s, s + increment)) for s in starts))


def collapse(tasks) -> APMatrix:
    """Every class is learned at 30 and lost with the next step; the last task is kept."""
    values = []
    for t, new in enumerate(tasks):
        values.append({c: 30.0 if c in new else 0.0 for own in tasks[: t + 1] for c in own})
    return APMatrix(tasks, tuple(values))


def test_worked_example_with_a_class_without_ground_truth():
    assert forgetting_rate(WORKED) == pytest.approx(9.0)  # 100 (0.4 / 2 + 0 + 0 + 0.25) / 5
    assert forgetting_rate_max(WORKED) == pytest.approx(100 * (3 / 2 + 1) / 5)
    assert forgetting_rate_normalized(WORKED) == pytest.approx(18.0)
    assert forgetting(WORKED) == pytest.approx(11 / 120)  # 0.0917
    assert backward_transfer(WORKED) == pytest.approx(-1 / 12)  # -0.0833
    assert average_incremental_map(WORKED) == pytest.approx((0.3 + 0.3875 + 0.32) / 3)
    assert average_incremental_map(WORKED, base=False) == pytest.approx((0.3875 + 0.32) / 2)
    assert num_never_learned(WORKED) == 1


@pytest.mark.parametrize("missing", [None, math.nan])
def test_missing_values_are_none_nan_or_absent_alike(missing):
    values = tuple({c: missing if c == 5 else v for c, v in own.items()} for own in WORKED.values)
    absent = tuple({c: v for c, v in own.items() if c != 5} for own in WORKED.values)
    for measure in MEASURES:
        expected = measure(WORKED)
        assert measure(APMatrix(WORKED.tasks, values)) == measure(APMatrix(WORKED.tasks, absent)) == expected


def test_example_1_first_drop_then_gain():
    matrix = APMatrix(
        ((0, 1), (2,), (3,)),
        ({0: 40, 1: 20}, {0: 30, 1: 22, 2: 50}, {0: 20, 1: 25, 2: 40, 3: 30}),
    )
    assert forgetting_rate(matrix) == pytest.approx(11.25)


@pytest.mark.parametrize(
    ("base", "increment", "ceiling"), [(20, 4, 30.83), (20, 2, 19.14), (20, 5, 35.42), (10, 10, 45.83)]
)
def test_example_2_total_collapse_reaches_the_ceiling(base, increment, ceiling):
    matrix = collapse(stream(base, increment))
    assert forgetting_rate(matrix) == pytest.approx(ceiling, abs=0.005)
    assert forgetting_rate(matrix) == pytest.approx(forgetting_rate_max(matrix))
    assert forgetting_rate_normalized(matrix) == pytest.approx(100)
    assert forgetting(matrix) == pytest.approx(30)
    assert backward_transfer(matrix) == pytest.approx(-30)


def test_example_3_a_class_never_learned_adds_nothing_but_counts():
    matrix = APMatrix(((0, 1), (2,)), ({0: 0, 1: 40}, {0: 0, 1: 20, 2: 10}))
    assert forgetting_rate(matrix) == pytest.approx(100 * 0.5 / 3)
    assert num_never_learned(matrix) == 1


def test_example_4_without_a_drop_nothing_is_forgotten():
    matrix = APMatrix(((0,), (1,), (2,)), ({0: 10}, {0: 20, 1: 5}, {0: 20, 1: 5, 2: 1}))
    assert forgetting_rate(matrix) == 0.0
    assert forgetting_rate_normalized(matrix) == 0.0
    assert backward_transfer(matrix) == pytest.approx(5)


def test_a_single_step_forgets_nothing_defined():
    matrix = APMatrix(((0, 1),), ({0: 10, 1: 30},))
    assert [measure(matrix) for measure in MEASURES] == [None] * len(MEASURES)
    assert average_incremental_map(matrix) == 20
    assert average_incremental_map(matrix, base=False) is None


def test_no_ground_truth_at_all_is_undefined():
    matrix = APMatrix(((0,), (1,)), ({0: None}, {0: None, 1: None}))
    assert [measure(matrix) for measure in MEASURES] == [None] * len(MEASURES)
    assert average_incremental_map(matrix) is None


def test_old_tasks_without_ground_truth_leave_nothing_to_normalise_by():
    matrix = APMatrix(((0,), (1,)), ({0: None}, {0: None, 1: 20}))
    assert forgetting_rate(matrix) == 0.0
    assert forgetting_rate_normalized(matrix) is None
    assert forgetting(matrix) is None


@st.composite
def matrices(draw) -> APMatrix:
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    starts = [sum(sizes[:t]) for t in range(len(sizes))]
    tasks = tuple(tuple(range(s, s + n)) for s, n in zip(starts, sizes, strict=True))
    ap = st.floats(0, 100, allow_subnormal=False)
    values = tuple({c: draw(ap) for own in tasks[: t + 1] for c in own} for t in range(len(tasks)))
    return APMatrix(tasks, values)


@given(matrices())
def test_bounds(matrix):
    assert 0 <= forgetting_rate(matrix) <= forgetting_rate_max(matrix) + 1e-9
    assert forgetting(matrix) >= -backward_transfer(matrix) - 1e-9
