"""The fate of every track that was found when its class was new, each made by hand."""

from __future__ import annotations

import pytest
from moved_squares import annotated, detected, steady
from scored_sets import random_set

from cvis.errors import UserError
from cvis.evaluation.forgotten import Fate, fates, sight, together

DOG, CAT, COW = 3, 7, 12
HERE, THERE = steady(0, 10), steady(20, 30)
CLASSES_BY_STEP = ((DOG,), (CAT,), (COW,))


def fate_of_dogs(truth, *now, classes_by_step=CLASSES_BY_STEP, then=((DOG, 0.9, HERE), (DOG, 0.8, THERE))):
    return fates(classes_by_step, [sight(truth, [detected(*then)])], sight(truth, [detected(*now)]))[DOG]


@pytest.mark.parametrize(
    ("now", "fate"),
    [
        ([(DOG, 0.3, steady(0, 5))], Fate(1, 1, still=1)),
        ([(DOG, 0.3, HERE), (COW, 0.9, HERE)], Fate(1, 1, still=1)),
        ([(CAT, 0.3, steady(0, 5))], Fate(1, 1, still=0, newer={CAT: 1})),
        ([(CAT, 0.3, HERE), (COW, 0.4, steady(0, 6))], Fate(1, 1, still=0, newer={COW: 1})),
        ([(CAT, 0.3, HERE), (DOG, 0.9, steady(0, 3))], Fate(1, 1, still=0, newer={CAT: 1})),
        ([(DOG, 0.9, steady(0, 1))], Fate(1, 1, still=0, poor=1)),
        ([(DOG, 0.9, steady(9, 11))], Fate(1, 1, still=0, gone=1)),
        ([(CAT, 0.9, steady(0, 4))], Fate(1, 1, still=0, gone=1)),
        ([], Fate(1, 1, still=0, gone=1)),
    ],
    ids=["still", "still, though also a cow", "newer", "the surest names it", "newer before poor", "poor", "1/11",
         "too little of a cat", "nothing"],
)  # fmt: skip
def test_fates(now, fate):
    assert fate_of_dogs(annotated((DOG, HERE)), *now) == fate


def test_learned_before_or_with_it_is_older():
    truth = annotated((DOG, HERE))
    assert fate_of_dogs(truth, (CAT, 0.9, HERE), classes_by_step=((DOG, CAT), (COW,))).older == {CAT: 1}
    now = sight(truth, [detected((CAT, 0.9, HERE))])
    right = sight(truth, [detected((DOG, 0.9, HERE))])
    earlier = fates(((CAT,), (DOG,), (COW,)), [now, right], now)
    assert list(earlier) == [CAT, DOG]
    assert (earlier[DOG].older, earlier[DOG].newer) == ({CAT: 1}, {})


def test_what_was_not_found_when_new_cannot_be_forgotten():
    truth = annotated((DOG, HERE), (DOG, THERE))
    fate = fate_of_dogs(truth, (DOG, 0.9, THERE), then=[(DOG, 0.9, HERE)])
    assert (fate.num_gt, fate.found, fate.still, fate.gone) == (2, 1, 0, 1)


def test_a_class_is_judged_from_the_step_that_brought_it():
    """The cat was found at step 1; that step 0 knew no cats is no matter."""
    truth = annotated((CAT, HERE))
    steps = [sight(truth, []), sight(truth, [detected((CAT, 0.9, HERE))]), sight(truth, [detected((COW, 0.9, HERE))])]
    of_all = fates(CLASSES_BY_STEP, steps[:2], steps[2])
    assert of_all[CAT] == Fate(1, 1, still=0, newer={COW: 1})
    assert COW not in of_all  # new at this step


def test_crowds_are_not_objects():
    truth = annotated((DOG, HERE), (DOG, THERE), crowd=(1,))
    assert fate_of_dogs(truth) == Fate(1, 1, still=0, gone=1)


def test_found_again_needs_a_detection_of_its_own():
    """Two dogs in one place and one detection left: one is still found, the other has it as poor masks."""
    truth = annotated((DOG, HERE), (DOG, steady(0, 9)))
    then = [(DOG, 0.9, HERE), (DOG, 0.8, steady(0, 9))]
    assert fate_of_dogs(truth, (DOG, 0.9, HERE), then=then) == Fate(2, 2, still=1, poor=1)


def test_together_sums_and_sorts():
    parts = [Fate(3, 3, 1, {CAT: 1, COW: 1}), Fate(4, 3, 0, {COW: 1}, {DOG: 1}, poor=1), Fate(1, 1, 0, gone=1)]
    total = together(parts)
    assert total == Fate(8, 7, 1, {COW: 2, CAT: 1}, {DOG: 1}, poor=1, gone=1)
    assert list(total.newer) == [COW, CAT]
    assert together([]) == Fate(0, 0, 0)


def test_videos_without_predictions_count():
    truth = annotated((DOG, HERE, 1), (DOG, THERE, 2), videos=(1, 2))
    then = sight(truth, [detected((DOG, 0.9, THERE), video=2), detected((DOG, 0.9, HERE))])
    now = sight(truth, [detected((DOG, 0.9, THERE), video=2)])
    assert fates(CLASSES_BY_STEP, [then], now)[DOG] == Fate(2, 2, still=1, gone=1)


def test_fates_add_up():
    lost = 0
    for seed in range(60):
        truth, right = random_set(seed, crowds=True)
        then, now = sight(truth, right), sight(truth, right[1:])
        for fate in fates(((3, 7), (12,), (40,)), [then, then], now).values():
            parts = (fate.still, *fate.newer.values(), *fate.older.values(), fate.poor, fate.gone)
            assert fate.found == sum(parts)
            lost += fate.found - fate.still
        same = fates(((3, 7), (12,), (40,)), [then, then], then)
        assert all(fate.still == fate.found for fate in same.values())
    assert lost > 10


def test_a_foreign_video_is_refused():
    with pytest.raises(UserError, match="video 5: video_id: not in the ground truth"):
        sight(annotated((DOG, HERE)), [detected(video=5)])
