"""Forgetting and transfer, from the AP of every class after every step.

All measures are pure functions of an :class:`APMatrix`. Notation: ``A[s, c]`` is the AP of class c after step
s = 1..T, ``C_t`` the classes introduced at step t, ``t(c)`` the step of class c, and P the classes that have
ground truth: all with a defined AP at every step since their own. Classes outside P take part in no sum and
in no count. A measure that is undefined (a single step, or nobody to average over) is ``None``, never 0.

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


@dataclass(frozen=True)
class APMatrix:
    """AP of every class after every step.

    Attributes:
        tasks: T tuples of the category ids introduced at each step.
        values: T mappings, after each step: category id -> AP (in any unit; None or NaN without ground
            truth). Entries of classes that the step has not seen are not read.
    """

    tasks: tuple[tuple[int, ...], ...]
    values: tuple[Mapping[int, float | None], ...]

    def __len__(self) -> int:
        return len(self.tasks)

    @cached_property
    def scored(self) -> tuple[tuple[int, ...], ...]:
        """``C_t`` without the classes outside P, for every step."""
        return tuple(
            tuple(c for c in classes if all(_defined(after.get(c)) for after in self.values[t:]))
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


def average_incremental_map(matrix: APMatrix, base: bool = True) -> float | None:
    """The mean over the steps of the mAP of the classes seen so far; ``base=False`` leaves out step 1.

        mean_s  mAP_seen(s),   mAP_seen(s) = mean_{c in C_1..C_s} A[s,c]

    Rebuffi et al., "iCaRL", CVPR 2017 (there of accuracies).

    >>> average_incremental_map(APMatrix(((0,), (1,)), ({0: 50}, {0: 40, 1: 20})))
    40.0
    """
    per_step = (
        _mean(matrix.at(step, c) for own in matrix.scored[: step + 1] for c in own)
        for step in range(0 if base else 1, len(matrix))
    )
    return _mean(value for value in per_step if value is not None)


def num_never_learned(matrix: APMatrix) -> int:
    """Scored classes with AP 0 right after their own step: they cannot be forgotten, so FR hides them.

    >>> num_never_learned(APMatrix(((0, 1), (2,)), ({0: 0, 1: 10}, {0: 5, 1: 10, 2: 0})))
    2
    """
    return sum(matrix.at(step, c) == 0 for step, own in enumerate(matrix.scored) for c in own)


def _rate(matrix: APMatrix, term) -> float | None:
    """100 / N_c times the sum of ``term(matrix, t, c) / (T - t)`` over the classes before the last step."""
    if len(matrix) < 2 or not matrix.num_scored:
        return None
    last = len(matrix) - 1
    terms = (term(matrix, step, c) / (last - step) for step, own in enumerate(matrix.scored[:-1]) for c in own)
    return 100 * math.fsum(terms) / matrix.num_scored


def _relative_drop(matrix: APMatrix, step: int, category_id: int) -> float:
    first, final = matrix.at(step, category_id), matrix.at(-1, category_id)
    return max(0.0, first - final) / first if first > 0 else 0.0


def _defined(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return math.fsum(values) / len(values) if values else None
