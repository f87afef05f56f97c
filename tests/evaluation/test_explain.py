"""Kinds of errors on hand-made tracks, one rule at a time; what each costs, computed by hand."""

from __future__ import annotations

import pytest
from moved_squares import annotated, detected, moving, steady
from scored_sets import random_set

from cvis.errors import UserError
from cvis.evaluation import score
from cvis.evaluation.error_kinds import KINDS, classify, compare
from cvis.evaluation.explain import explain

DOG, CAT, COW = 3, 7, 12
HERE, THERE = steady(0, 10), steady(20, 30)


def kinds(truth, *predicted):
    """Kinds and targets of detections, both in their given order (one class only), and which tracks are missed."""
    kinds, targets, missed = classify(compare(truth, detected(*predicted)))
    return list(kinds), targets.tolist(), missed.tolist()


def kind(truth, masks):
    """Of a single detected dog."""
    (found,), (target,), _ = kinds(truth, (DOG, 0.9, masks))
    return found, target


def test_right():
    assert kind(annotated((DOG, HERE)), steady(0, 5)) == ("right", -1)  # an IoU of 0.5 is enough


def test_of_two_tracks_with_equal_iou_the_last_is_found():
    """As the official rule has it; the second detection then finds its only track taken."""
    truth = annotated((DOG, HERE), (DOG, steady(2, 12)))
    found, *_ = kinds(truth, (DOG, 0.9, steady(1, 11)), (DOG, 0.8, steady(4, 14)))
    assert found == ["right", "duplicate"]


def test_only_the_hundred_best_of_a_class_are_looked_at():
    found, _, missed = kinds(annotated((DOG, HERE)), (DOG, 0.1, HERE), *[(DOG, 0.9, steady(50, 60))] * 100)
    assert (found, missed) == (["background"] * 100, [True])


def test_duplicate():
    found, targets, _ = kinds(annotated((DOG, HERE)), (DOG, 0.9, HERE), (DOG, 0.8, steady(0, 9)))
    assert (found, targets[1]) == (["right", "duplicate"], 0)


def test_duplicate_comes_before_wrong_class():
    found, *_ = kinds(annotated((DOG, HERE), (CAT, HERE)), (DOG, 0.9, HERE), (DOG, 0.8, HERE))
    assert found == ["right", "duplicate"]


def test_wrong_class():
    assert kind(annotated((DOG, HERE), (CAT, THERE)), steady(20, 25)) == ("wrong_class", 1)


def test_wrong_class_comes_before_poor_masks():
    truth = annotated((DOG, steady(27, 37)), (CAT, THERE))
    assert kind(truth, steady(20, 30)) == ("wrong_class", 1)  # 3 of 17 columns of the dog


def test_wrong_class_comes_before_switched():
    truth = annotated((DOG, HERE), (CAT, THERE))
    assert kind(truth, moving((range(2), 0, 10), (range(2, 10), 20, 30))) == ("wrong_class", 1)


@pytest.mark.parametrize("masks", [steady(0, 10, range(4)), steady(0, 6, range(1))], ids=["0.4", "0.06"])
def test_broken(masks):
    assert kind(annotated((DOG, THERE), (DOG, HERE)), masks) == ("broken", 1)


def test_half_of_the_frames_is_not_broken():
    assert kind(annotated((DOG, HERE)), steady(0, 6, range(5))) == ("poor_masks", 0)


def test_too_short_on_one_track_is_broken_even_if_it_jumps_then():
    truth = annotated((DOG, HERE), (DOG, THERE))
    assert kind(truth, moving((range(4), 0, 10), (range(4, 7), 20, 30))) == ("broken", 0)


def test_switched():
    truth = annotated((DOG, HERE), (DOG, THERE))
    assert kind(truth, moving((range(4), 0, 10), (range(4, 10), 20, 30))) == ("switched", 1)


def test_switched_to_another_class():
    truth = annotated((CAT, THERE), (DOG, HERE))
    assert kind(truth, moving((range(5), 0, 10), (range(5, 10), 20, 30))) == ("switched", 1)


def test_jumping_in_half_of_its_frames_only_is_not_switched():
    truth = annotated((DOG, HERE), (DOG, THERE))
    masks = moving((range(3), 0, 10), (range(3, 5), 20, 30), (range(5, 10), 40, 50))
    assert kind(truth, masks) == ("poor_masks", 0)  # 3 of 17 frames' worth of the first


def test_poor_masks():
    assert kind(annotated((DOG, HERE)), steady(0, 3)) == ("poor_masks", 0)


def test_drifting_off_is_poor_masks():
    masks = moving((range(4), 0, 10), (range(4, 10), 40, 50))
    assert kind(annotated((DOG, HERE)), masks) == ("poor_masks", 0)


def test_on_its_track_in_most_frames_is_never_background():
    """The IoU is below 0.1, for most pixels are in one frame; per frame it is right in 6 of 10."""
    truth = annotated((DOG, moving((range(1, 7), 0, 1), (range(1), 0, 30))))
    masks = moving((range(1, 7), 0, 1), (range(7, 8), 0, 60), (range(8, 10), 50, 51))
    assert kind(truth, masks) == ("poor_masks", 0)


def test_poor_masks_come_before_both():
    truth = annotated((DOG, HERE), (CAT, steady(10, 20)))
    assert kind(truth, steady(8, 13)) == ("poor_masks", 0)  # 2 of 13 columns of the dog, 3 of 12 of the cat


@pytest.mark.parametrize(
    "masks",
    [steady(20, 23), steady(20, 26, range(1)), moving((range(5), 20, 30), (range(5, 10), 40, 50))],
    ids=["small", "short", "jumping"],
)
def test_both(masks):
    truth = annotated((CAT, THERE), (CAT, steady(40, 50)), (DOG, HERE))
    assert kind(truth, masks) == ("both", -1)


@pytest.mark.parametrize(
    "masks", [steady(50, 60), steady(9, 11), steady(0, 0), [None] * 10], ids=["far", "1/11", "empty", "null"]
)
def test_background(masks):
    assert kind(annotated((DOG, HERE)), masks) == ("background", -1)


def test_one_tenth_is_no_background():
    assert kind(annotated((DOG, HERE)), steady(0, 1)) == ("poor_masks", 0)


def test_without_annotations_all_is_background():
    assert kind(annotated(), HERE) == ("background", -1)


def test_on_a_crowd_of_its_class_is_ignored_and_of_another_wrong():
    assert kind(annotated((DOG, HERE), crowd=(0,)), HERE)[0] == "ignored"
    assert kind(annotated((CAT, HERE), crowd=(0,)), HERE) == ("wrong_class", 0)


@pytest.mark.parametrize(
    ("masks", "missed"),
    [
        ([None] * 10, True),
        (steady(9, 11), True),
        (HERE, False),
        (steady(0, 3), False),
        (steady(0, 10, range(4)), False),
    ],
    ids=["nothing", "background", "found", "poor", "broken"],
)
def test_missed_is_what_nothing_means(masks, missed):
    assert kinds(annotated((DOG, HERE)), (DOG, 0.5, masks))[2] == [missed]


def test_seen_as_another_class_is_not_missed_but_nearly_so_is():
    truth = annotated((CAT, HERE), (CAT, THERE), (CAT, steady(40, 50)), crowd=(2,))
    assert kinds(truth, (DOG, 0.9, HERE), (DOG, 0.8, steady(20, 23)))[2] == [False, True, False]


# What it costs. Of two tracks the surer found, and nothing else: precision 1 at 51 of 101 recalls.
HALF = 100 * 51 / 101


def losses(truth, *predicted):
    return explain(truth, [detected(*predicted)]).per_class


def test_poor_masks_cost_what_a_right_detection_would_win():
    dog = losses(annotated((DOG, HERE), (DOG, THERE)), (DOG, 0.9, HERE), (DOG, 0.8, steady(20, 24)))[DOG]
    assert dog.ap50 == pytest.approx(HALF)
    assert dog.dap50 == {**dict.fromkeys(KINDS, 0.0), "poor_masks": pytest.approx(100 - HALF)}
    assert dog.counts == {**dict.fromkeys(KINDS, 0), "poor_masks": 1}
    assert dog.num_gt == 2


@pytest.mark.parametrize(
    ("error", "masks"),
    [
        ("broken", steady(20, 30, range(3))),
        ("switched", moving((range(4), 0, 10), (range(4, 10), 20, 30))),
    ],
)
def test_identity_costs_likewise(error, masks):
    dog = losses(annotated((DOG, HERE), (DOG, THERE)), (DOG, 0.9, HERE), (DOG, 0.8, masks))[DOG]
    assert dog.dap50 == {**dict.fromkeys(KINDS, 0.0), error: pytest.approx(100 - HALF)}


def test_a_wrong_class_costs_both_classes():
    truth = annotated((DOG, HERE), (DOG, THERE), (CAT, steady(40, 50)))
    both = losses(truth, (DOG, 0.9, HERE), (CAT, 0.95, THERE), (CAT, 0.9, steady(40, 50)))
    assert both[CAT].ap50 == pytest.approx(50)
    assert both[CAT].dap50["wrong_class"] == pytest.approx(50)  # removed here
    assert both[DOG].dap50["wrong_class"] == pytest.approx(100 - HALF)  # right there
    assert (both[CAT].counts["wrong_class"], both[DOG].counts["wrong_class"]) == (1, 0)
    assert both[DOG].dap50["missed"] == 0


def test_a_track_is_won_once():
    """Two cats on one of two dogs: corrected, one finds it and the other vanishes."""
    dog = losses(annotated((DOG, HERE), (DOG, THERE)), (CAT, 0.9, HERE), (CAT, 0.8, HERE))[DOG]
    assert (dog.ap50, dog.dap50["wrong_class"]) == (0, pytest.approx(HALF))


def test_the_surest_wins_it():
    """Ahead of a background dog stands the cow, not the cat."""
    predicted = [(DOG, 0.7, steady(50, 60)), (CAT, 0.5, HERE), (COW, 0.8, HERE)]
    assert losses(annotated((DOG, HERE)), *predicted)[DOG].dap50["wrong_class"] == pytest.approx(100)


def test_an_error_on_a_found_track_is_removed():
    """The surer poor dog vanishes, the right one is first; the second dog remains to be found."""
    truth = annotated((DOG, HERE), (DOG, THERE))
    dog = losses(truth, (DOG, 0.9, steady(0, 3)), (DOG, 0.8, HERE))[DOG]
    assert (dog.ap50, dog.dap50["poor_masks"]) == (pytest.approx(HALF / 2), pytest.approx(HALF / 2))


@pytest.mark.parametrize(
    ("error", "masks"), [("duplicate", HERE), ("background", steady(50, 60)), ("both", steady(40, 43))]
)
def test_what_is_removed_costs_the_precision_behind_it(error, masks):
    truth = annotated((DOG, HERE), (DOG, THERE), (CAT, steady(40, 50)))
    dog = losses(truth, (DOG, 0.9, HERE), (DOG, 0.8, masks), (DOG, 0.7, THERE))[DOG]
    assert dog.ap50 == pytest.approx(HALF + 100 * 50 / 101 * 2 / 3)
    assert dog.dap50 == {**dict.fromkeys(KINDS, 0.0), error: pytest.approx(100 - dog.ap50)}


def test_missed_tracks_are_not_counted():
    dog = losses(annotated((DOG, HERE), (DOG, THERE)), (DOG, 0.9, HERE))[DOG]
    assert dog.dap50 == {**dict.fromkeys(KINDS, 0.0), "missed": pytest.approx(100 - HALF)}
    assert dog.counts["missed"] == 1


def test_a_class_of_which_all_is_missed_loses_all_to_it():
    dog = explain(annotated((DOG, HERE)), []).per_class[DOG]
    assert (dog.ap50, dog.dap50["missed"]) == (0, 100)


def test_without_ground_truth_there_is_no_ap_but_there_are_errors():
    explained = explain(annotated((DOG, HERE)), [detected((CAT, 0.9, steady(50, 60)))])
    cat = explained.per_class[CAT]
    assert (cat.ap, cat.ap50, cat.num_gt) == (None, None, 0)
    assert cat.dap50 == dict.fromkeys(KINDS)
    assert cat.counts["background"] == 1
    assert explained.worst_first() == [DOG]


def test_losses_do_not_add_up():
    """A background ahead of a poor mask: either correction alone wins 50 of 100 points, or none."""
    dog = losses(annotated((DOG, HERE)), (DOG, 0.9, steady(50, 60)), (DOG, 0.8, steady(0, 3)))[DOG]
    assert (dog.ap50, dog.dap50["background"], dog.dap50["poor_masks"]) == (0, 0, pytest.approx(50))


def test_classes_choose_rows_and_not_what_is_compared():
    truth = annotated((DOG, HERE), (CAT, THERE))
    predicted = [detected((CAT, 0.9, HERE), (CAT, 0.8, THERE))]
    all_, dogs = explain(truth, predicted), explain(truth, predicted, [DOG])
    assert list(dogs.per_class) == [DOG]
    assert dogs.per_class[DOG] == all_.per_class[DOG]
    assert dogs.per_class[DOG].dap50["wrong_class"] == pytest.approx(100)
    assert (dogs.mean.ap50, all_.mean.ap50) == (0, pytest.approx(25))
    assert all_.mean.dap50["wrong_class"] == pytest.approx(75)
    assert all_.mean.counts["wrong_class"] == 1


def test_nobody_predicts_anything_and_nothing_is_annotated():
    explained = explain(annotated(videos=(1, 2)), [])
    assert explained.mean.ap50 is None
    assert explained.mean.dap50 == dict.fromkeys(KINDS)
    assert explained.missing_videos == (1, 2)


@pytest.mark.parametrize("seed", range(0, 120, 6))
def test_ap_is_that_of_the_evaluator_to_the_last_bit(seed):
    for each in range(seed, seed + 6):
        truth, predicted = random_set(each, crowds=bool(each % 2))
        result = score(truth, predicted)
        explained = explain(truth, iter(predicted))
        for category_id, numbers in result.per_class().items():
            losses_of_class = explained.per_class[category_id]
            assert (losses_of_class.ap, losses_of_class.ap50) == (numbers["AP"], numbers["AP50"])
        assert explained.mean.ap50 == result.summary()["AP50"]
        assert explain(truth, reversed(predicted)) == explained
        gains = [
            v
            for losses_of_class in explained.per_class.values()
            for v in losses_of_class.dap50.values()
            if v is not None
        ]
        assert all(-1e-9 <= v <= 100 for v in gains)  # a correction never hurts


def test_every_listed_detection_has_one_kind():
    for seed in range(40):
        truth, predicted = random_set(seed, crowds=True)
        for tracks in predicted:
            kinds, targets, missed = classify(compare(truth, tracks))
            listed = sum(min(100, tracks.category_ids.count(c)) for c in set(tracks.category_ids))
            assert len(kinds) == len(targets) == listed
            assert set(kinds) <= {*KINDS, "right", "ignored"} - {"missed"}
            assert len(missed) == len(truth.tracks[tracks.video_id])


def test_what_does_not_fit_is_refused():
    truth = annotated((DOG, HERE))
    with pytest.raises(UserError, match="video 5: video_id: not in the ground truth"):
        explain(truth, [detected(video=5)])
    with pytest.raises(UserError, match="classes: 99: not in the ground truth"):
        explain(truth, [], [99])
    with pytest.raises(UserError, match="track 0: segmentations: 3 entries"):
        compare(truth, detected((DOG, 0.9, HERE[:3])))
