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
    classwise_forgetting,
    forgetting,
    forgetting_rate,
    forgetting_rate_max,
    forgetting_rate_normalized,
    intransigence,
    num_never_learned,
    plasticity,
    relative_drop,
)

RATES = (forgetting_rate, forgetting_rate_max, forgetting_rate_normalized, relative_drop)  # percentages
POINTS = (forgetting, backward_transfer, plasticity)  # in the unit of the AP
MEASURES = (*RATES, *POINTS)

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
        values.append({c: 30.0 if c in new else 0.0 for task in tasks[: t + 1] for c in task})
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
    assert relative_drop(WORKED) == pytest.approx(100 * (0.4 + 0 + 0 + 0.25) / 4)
    assert plasticity(WORKED) == pytest.approx((0.60 + 0.30) / 2)
    # the best of steps 1..2 minus step 3: .55 - .30, .40 - .45, .05 - .10, .60 - .45
    assert classwise_forgetting(WORKED) == pytest.approx({1: 0.25, 2: -0.05, 3: -0.05, 4: 0.15})


def test_intransigence_compares_each_task_right_after_its_step_with_joint_training():
    joint = {1: 0.60, 2: 0.45, 3: 0.30, 4: 0.50, 5: None, 6: 0.50}
    # task 1: .45 against .30; task 2: .50 against .60 (it gains); task 3: .50 against .30
    assert intransigence(WORKED, joint) == pytest.approx((0.15 - 0.10 + 0.20) / 3)


@pytest.mark.parametrize("missing", [None, math.nan, -1.0])
def test_intransigence_leaves_out_what_the_joint_run_has_no_ap_of(missing):
    joint = {1: 0.60, 2: missing, 3: 0.30, 4: missing, 5: 0.9, 6: 0.50}
    assert intransigence(WORKED, joint) == pytest.approx((0.45 - 0.25 + 0.50 - 0.30) / 2)
    assert intransigence(WORKED, {}) is None


@pytest.mark.parametrize("missing", [None, math.nan, -1.0])
def test_missing_values_are_none_nan_negative_or_absent_alike(missing):
    values = tuple({c: missing if c == 5 else v for c, v in aps.items()} for aps in WORKED.values)
    absent = tuple({c: v for c, v in aps.items() if c != 5} for aps in WORKED.values)
    for measure in (*MEASURES, average_incremental_map, num_never_learned, classwise_forgetting):
        expected = measure(WORKED)
        assert measure(APMatrix(WORKED.tasks, values)) == measure(APMatrix(WORKED.tasks, absent)) == expected


@pytest.mark.parametrize("missing", [None, math.nan, -1.0, "absent"])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_class_undefined_at_one_step_only_is_left_out_of_all(step, missing):
    """The complete-case rule: c1's AP is unknown after one step, so c1 might as well not be in the stream."""
    holed = [dict(aps) for aps in WORKED.values]
    holed[step].pop(1)
    if missing != "absent":
        holed[step][1] = missing
    without = APMatrix(((2, 3), (4, 5), (6,)), tuple({c: v for c, v in aps.items() if c != 1} for aps in WORKED.values))
    matrix = APMatrix(WORKED.tasks, tuple(holed))
    assert matrix.scored == ((2, 3), (4,), (6,))
    for measure in (*MEASURES, average_incremental_map, num_never_learned, classwise_forgetting):
        assert measure(matrix) == measure(without), measure.__name__
    assert forgetting_rate(matrix) == pytest.approx(100 * 0.25 / 4)  # c4 alone drops; N_c = 4


def test_values_of_classes_not_seen_yet_are_not_read():
    values = ({**WORKED.values[0], 4: 0.0, 6: None}, {**WORKED.values[1], 6: 0.99}, WORKED.values[2])
    assert APMatrix(WORKED.tasks, values).scored == WORKED.scored
    for measure in (*MEASURES, average_incremental_map, num_never_learned, classwise_forgetting):
        assert measure(APMatrix(WORKED.tasks, values)) == measure(WORKED)


def test_example_1_first_drop_then_gain():
    matrix = APMatrix(
        ((0, 1), (2,), (3,)),
        ({0: 40, 1: 20}, {0: 30, 1: 22, 2: 50}, {0: 20, 1: 25, 2: 40, 3: 30}),
    )
    assert forgetting_rate(matrix) == pytest.approx(11.25)
    assert forgetting_rate_max(matrix) == pytest.approx(100 * (2 / 2 + 1) / 4)
    assert relative_drop(matrix) == pytest.approx(70 / 3)  # 50 %, 0 and 20 %
    assert classwise_forgetting(matrix) == {0: 20, 1: -3, 2: 10}
    assert plasticity(matrix) == pytest.approx(40)


@pytest.mark.parametrize(
    ("base", "increment", "ceiling"), [(20, 4, 30.83), (20, 2, 19.14), (20, 5, 35.42), (10, 10, 45.83)]
)
def test_example_2_total_collapse_reaches_the_ceiling(base, increment, ceiling):
    matrix = collapse(stream(base, increment))
    assert forgetting_rate(matrix) == pytest.approx(ceiling, abs=0.005)
    assert forgetting_rate(matrix) == pytest.approx(forgetting_rate_max(matrix))
    assert forgetting_rate_normalized(matrix) == pytest.approx(100)
    assert relative_drop(matrix) == pytest.approx(100)
    assert plasticity(matrix) == pytest.approx(30)
    assert intransigence(matrix, dict.fromkeys(range(40), 35.0)) == pytest.approx(5)
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
    assert relative_drop(matrix) == 0.0
    assert backward_transfer(matrix) == pytest.approx(5)


def test_a_single_step_forgets_nothing_defined():
    matrix = APMatrix(((0, 1),), ({0: 10, 1: 30},))
    assert [measure(matrix) for measure in MEASURES] == [None] * len(MEASURES)
    assert classwise_forgetting(matrix) == {}
    assert average_incremental_map(matrix) == 20
    assert average_incremental_map(matrix, base=False) is None


def test_no_ground_truth_at_all_is_undefined():
    matrix = APMatrix(((0,), (1,)), ({0: None}, {0: None, 1: None}))
    assert [measure(matrix) for measure in MEASURES] == [None] * len(MEASURES)
    assert average_incremental_map(matrix) is None
    assert intransigence(matrix, {0: 10.0, 1: 10.0}) is None


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
    ap = st.floats(0, 100, width=32, allow_subnormal=False)  # no underflow when scaled
    values = tuple({c: draw(ap) for task in tasks[: t + 1] for c in task} for t in range(len(tasks)))
    return APMatrix(tasks, values)


@given(matrices())
def test_bounds(matrix):
    assert 0 <= forgetting_rate(matrix) <= forgetting_rate_max(matrix) + 1e-9
    assert 0 <= forgetting_rate_normalized(matrix) <= 100 + 1e-9
    assert 0 <= relative_drop(matrix) <= 100 + 1e-9
    assert forgetting(matrix) >= -backward_transfer(matrix) - 1e-9
    assert 0 <= plasticity(matrix) <= 100
    old = [c for task in matrix.tasks[:-1] for c in task]
    assert list(classwise_forgetting(matrix)) == old


@given(matrices(), st.randoms(use_true_random=False))
def test_the_order_of_the_classes_inside_a_task_changes_nothing(matrix, random):
    tasks = tuple(tuple(random.sample(task, len(task))) for task in matrix.tasks)
    shuffled = APMatrix(tasks, matrix.values)
    for measure in (*MEASURES, average_incremental_map, num_never_learned, classwise_forgetting):
        assert measure(shuffled) == measure(matrix), measure.__name__


@given(matrices(), st.integers(-6, 6))
def test_rates_do_not_depend_on_the_unit_of_the_ap_and_points_follow_it(matrix, exponent):
    unit = 2.0**exponent  # exact in floating point
    scaled = APMatrix(matrix.tasks, tuple({c: v * unit for c, v in aps.items()} for aps in matrix.values))
    for measure in (*RATES, num_never_learned):
        assert measure(scaled) == measure(matrix), measure.__name__
    for measure in (*POINTS, average_incremental_map):
        assert measure(scaled) == pytest.approx(measure(matrix) * unit), measure.__name__


@given(matrices())
def test_a_copy_that_keeps_every_class_forgets_nothing(matrix):
    kept: dict[int, float] = {}
    values = []
    for aps, new in zip(matrix.values, matrix.tasks, strict=True):
        kept = {**kept, **{c: aps[c] for c in new}}
        values.append(kept)
    frozen = APMatrix(matrix.tasks, tuple(values))
    assert forgetting_rate(frozen) == relative_drop(frozen) == 0
    assert forgetting(frozen) == backward_transfer(frozen) == 0
    assert plasticity(frozen) == plasticity(matrix)
    assert intransigence(frozen, kept) == 0
