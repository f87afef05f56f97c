"""Forgetting and transfer, from the AP of every class after every step.

All measures are pure functions of an :class:`APMatrix`. Notation: ``A[s, c]`` is the AP of class c after step
s = 1..T, ``C_t`` the classes introduced at step t, ``t(c)`` the step of class c, P the scored classes,
``N_c = |P|``, and ``a[s, j]`` the mean of ``A[s, c]`` over the scored classes of task j.

**Classes without ground truth: the complete-case rule.** An AP is defined if it is a number, and undefined if it
is None, NaN, negative (the official evaluator writes -1) or missing. A class is scored, in P, if its AP is
defined at its own step and at every later one. A class undefined at even one of these steps takes part in no
sum and in no count, at any step: so every measure compares the same classes before and after, and no
number can move because a class enters or leaves a mean. Steps before a class's own are never read. (With
one test set for all steps, as the engine has, a class is undefined at all steps or at none.) A task
without any scored class is left out. A measure that is undefined (a single step, or nobody to average
over) is ``None``, never 0.

Units: FR, FR_max, FR_normalized and the relative drop are percentages; all others are in the unit of the AP.

>>> matrix = APMatrix(
...     tasks=((1, 2, 3), (4, 5), (6,)),
...     values=(
...         {1: 50, 2: 40, 3: 0},
...         {1: 55, 2: 35, 3: 5, 4: 60, 5: None},
...         {1: 30, 2: 45, 3: 10, 4: 45, 5: None, 6: 30},
...     ),
... )
>>> matrix.scored
((1, 2, 3), (4,), (6,))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeGuard


@dataclass(frozen=True)
class APMatrix:
    """AP of every class after every step.

    Attributes:
        tasks: T tuples of the category ids introduced at each step.
        values: T mappings, after each step: category id -> AP (in any unit; None, NaN, -1 or missing without
            ground truth). Entries of classes that the step has not seen are not read.
    """

    tasks: tuple[tuple[int, ...], ...]
    values: tuple[Mapping[int, float | None], ...]

    def __len__(self) -> int:
        return len(self.tasks)

    @cached_property
    def scored(self) -> tuple[tuple[int, ...], ...]:
        """``C_t`` without the classes outside P, for every step."""
        return tuple(
            tuple(c for c in classes if all(is_defined(after.get(c)) for after in self.values[t:]))
            for t, classes in enumerate(self.tasks)
        )

    @property
    def num_scored(self) -> int:
        """``N_c = |P|``."""
        return sum(map(len, self.scored))

    def at(self, step: int, category_id: int) -> float:
        """``A[s, c]`` of a scored class; ``step`` counts from 0, and -1 is the last."""
        value = self.values[step][category_id]
        if value is None:
            raise KeyError(category_id)
        return value

    def mean(self, step: int, task: int) -> float:
        """``a[s, j]``: the mean AP, after a step, of a task's scored classes, of which it must have any."""
        return math.fsum(self.at(step, c) for c in self.scored[task]) / len(self.scored[task])


def forgetting_rate(matrix: APMatrix) -> float | None:
    """CRISP's FR: the relative drop of AP per elapsed step, over all classes, in percent.

        FR = 100 / N_c  sum_{t=1}^{T-1} 1 / (T - t)  sum_{c in C_t} max(0, A[t,c] - A[T,c]) / A[t,c]

    Eq. 8 of the paper, with the indicator of eq. 9 read as "drops count"; as printed it would keep the
    classes that improved, and all rates would be negative. A class that was never learned (``A[t,c] = 0``)
    adds 0 and stays in ``N_c``; so do the classes of the last step. The rate cannot reach 100: see
    :func:`forgetting_rate_max`.

    >>> forgetting_rate(APMatrix(((0, 1), (2,), (3,)), (
    ...     {0: 40, 1: 20}, {0: 30, 1: 22, 2: 50}, {0: 20, 1: 25, 2: 40, 3: 30})))
    11.25
    """
    return _rate(matrix, _relative_drop)


def forgetting_rate_max(matrix: APMatrix) -> float | None:
    """The ceiling of FR in this class stream: every class learned, and lost entirely.

        FR_max = 100 / N_c  sum_{t=1}^{T-1} |C_t| / (T - t)

    It depends on the stream alone, which is why rates of different streams cannot be compared.

    >>> forgetting_rate_max(APMatrix(((0, 1), (2,)), ({0: 10, 1: 10}, {0: 9, 1: 9, 2: 5}))).__round__(2)
    66.67
    """
    return _rate(matrix, lambda matrix, step, category_id: 1.0)


def forgetting_rate_normalized(matrix: APMatrix) -> float | None:
    """``100 FR / FR_max``: 0 is nothing forgotten, 100 is everything lost, in every stream.

    >>> forgetting_rate_normalized(APMatrix(((0, 1), (2,)), ({0: 10, 1: 10}, {0: 5, 1: 10, 2: 5})))
    25.0
    """
    rate, ceiling = forgetting_rate(matrix), forgetting_rate_max(matrix)
    return 100 * rate / ceiling if rate is not None and ceiling else None


def forgetting(matrix: APMatrix) -> float | None:
    """Chaudhry et al.'s forgetting of tasks, in points of AP (negative: later steps helped).

        F_T = mean_{j<T} ( max_{l=j..T-1} a[l,j] - a[T,j] ),   a[s,j] = mean_{c in C_j} A[s,c]

    Chaudhry, Dokania, Ajanthan, Torr, "Riemannian Walk for Incremental Learning", ECCV 2018. A task without
    any scored class is left out.

    >>> forgetting(APMatrix(((0,), (1,), (2,)), ({0: 50}, {0: 60, 1: 40}, {0: 30, 1: 40, 2: 10})))
    15.0
    """
    steps = range(len(matrix) - 1)
    return _mean(max(matrix.mean(s, j) for s in steps[j:]) - matrix.mean(-1, j) for j in steps if matrix.scored[j])


def backward_transfer(matrix: APMatrix) -> float | None:
    """Backward transfer, in points of AP (negative: forgetting).

        BWT = mean_{j<T} ( a[T,j] - a[j,j] ),   a[s,j] = mean_{c in C_j} A[s,c]

    Lopez-Paz, Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017. ``-BWT`` never
    exceeds :func:`forgetting`.

    >>> backward_transfer(APMatrix(((0,), (1,), (2,)), ({0: 50}, {0: 60, 1: 40}, {0: 30, 1: 40, 2: 10})))
    -10.0
    """
    return _mean(matrix.mean(-1, j) - matrix.mean(j, j) for j in range(len(matrix) - 1) if matrix.scored[j])


def classwise_forgetting(matrix: APMatrix) -> dict[int, float]:
    """Chaudhry et al.'s forgetting of every scored class of the earlier steps, in points of AP.

        F_T(c) = max_{l=t(c)..T-1} A[l,c] - A[T,c]

    See :func:`forgetting`; a class that got better has a negative value. Empty for a single step.

    >>> classwise_forgetting(APMatrix(((7,), (8,), (9,)), ({7: 50}, {7: 60, 8: 40}, {7: 30, 8: 45, 9: 10})))
    {7: 30, 8: -5}
    """
    steps = range(len(matrix) - 1)
    return {c: max(matrix.at(s, c) for s in steps[j:]) - matrix.at(-1, c) for j in steps for c in matrix.scored[j]}


def relative_drop(matrix: APMatrix) -> float | None:
    """The share of its first AP that a class of the earlier steps has lost at the end, in percent.

        RelDrop = 100 mean_{c in P, t(c) < T} max(0, A[t,c] - A[T,c]) / A[t,c],   t = t(c)

    The terms of :func:`forgetting_rate` without its weights ``1 / (T - t)`` and without the classes of the last
    step: 100 is everything lost, whatever the stream. A class never learned (``A[t,c] = 0``) adds 0 and counts.

    >>> relative_drop(APMatrix(((0, 1), (2,), (3,)), (
    ...     {0: 40, 1: 20}, {0: 30, 1: 22, 2: 50}, {0: 20, 1: 25, 2: 40, 3: 30}))).__round__(2)
    23.33
    """
    share = _mean(_relative_drop(matrix, step, c) for step, classes in enumerate(matrix.scored[:-1]) for c in classes)
    return None if share is None else 100 * share


def plasticity(matrix: APMatrix) -> float | None:
    """How well new classes are learned: the AP of each later task right after its own step.

        mean_{s=2..T} a[s,s]

    The base step is left out: it is plain training, and all methods share it.

    >>> plasticity(APMatrix(((0,), (1,), (2,)), ({0: 50}, {0: 60, 1: 40}, {0: 30, 1: 45, 2: 10})))
    25.0
    """
    return _mean(matrix.mean(j, j) for j in range(1, len(matrix)) if matrix.scored[j])


def intransigence(matrix: APMatrix, joint: Mapping[int, float | None]) -> float | None:
    """What learning in steps costs new classes, against joint training; in points of AP (negative: it gains).

        I = mean_{j=1..T} ( a*_j - a[j,j] ),   a*_j = mean_{c in C_j} joint[c]

    Chaudhry et al., ECCV 2018 (see :func:`forgetting`), with one difference: their reference for task j is
    trained on the data of tasks 1..j, ours is the one joint run over all T tasks, as only that is
    trained. Both sides are on the same test videos. A class counts where both sides are defined.

    Args:
        joint: category id -> AP of the joint run, in the unit of the matrix.

    >>> intransigence(APMatrix(((0,), (1,)), ({0: 50}, {0: 30, 1: 20})), {0: 45, 1: 40})
    7.5
    """
    gaps = (
        _mean(best - matrix.at(j, c) for c in classes if is_defined(best := joint.get(c)))
        for j, classes in enumerate(matrix.scored)
    )
    return _mean(gap for gap in gaps if gap is not None)


def average_incremental_map(matrix: APMatrix, base: bool = True) -> float | None:
    """The mean over the steps of the mAP of the classes seen so far; ``base=False`` leaves out step 1.

        mean_s  mAP_seen(s),   mAP_seen(s) = mean_{c in C_1..C_s} A[s,c]

    Rebuffi et al., "iCaRL", CVPR 2017 (there of accuracies).

    >>> average_incremental_map(APMatrix(((0,), (1,)), ({0: 50}, {0: 40, 1: 20})))
    40.0
    """
    per_step = (
        _mean(matrix.at(step, c) for classes in matrix.scored[: step + 1] for c in classes)
        for step in range(0 if base else 1, len(matrix))
    )
    return _mean(value for value in per_step if value is not None)


def num_never_learned(matrix: APMatrix) -> int:
    """Scored classes with AP 0 right after their own step: they cannot be forgotten, so FR hides them.

    >>> num_never_learned(APMatrix(((0, 1), (2,)), ({0: 0, 1: 10}, {0: 5, 1: 10, 2: 0})))
    2
    """
    return sum(matrix.at(step, c) == 0 for step, classes in enumerate(matrix.scored) for c in classes)


def _rate(matrix: APMatrix, term) -> float | None:
    """100 / N_c times the sum of ``term(matrix, t, c) / (T - t)`` over the classes before the last step."""
    if len(matrix) < 2 or not matrix.num_scored:
        return None
    last = len(matrix) - 1
    terms = (term(matrix, step, c) / (last - step) for step, classes in enumerate(matrix.scored[:-1]) for c in classes)
    return 100 * math.fsum(terms) / matrix.num_scored


def _relative_drop(matrix: APMatrix, step: int, category_id: int) -> float:
    first, final = matrix.at(step, category_id), matrix.at(-1, category_id)
    return max(0.0, first - final) / first if first > 0 else 0.0


def is_defined(value: float | None) -> TypeGuard[float]:
    """Whether an AP is a number: not None, NaN or negative.

    >>> [is_defined(ap) for ap in (0, 12.5, None, float("nan"), -1)]
    [True, True, False, False, False]
    """
    return value is not None and value >= 0  # no comparison with NaN is true


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return math.fsum(values) / len(values) if values else None
