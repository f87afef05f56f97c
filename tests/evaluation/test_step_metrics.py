"""metrics.json: one step's numbers, and the run's."""

from __future__ import annotations

import json

import pytest
from scored_sets import CLASSES, random_set, set_of, track_of, tracks_of, video_of
from test_video_ap import LEFT, RIGHT

from cvis.evaluation import final_metrics, score, step_metrics
from cvis.evaluation.measures import CLASS_METRICS, MEASURES, METRICS, STEP_METRICS

CAT, DOG, EMU, FOX = CLASSES  # of which FOX has no ground truth
VIDEO = video_of(1, 1)
GROUND_TRUTH = set_of([VIDEO], [track_of(i, 1, c, [LEFT]) for i, c in enumerate((CAT, DOG, EMU))])


def step(found: dict, old, new) -> dict:
    """A step at which the classes in ``found`` are predicted: True rightly, False wrongly."""
    tracks = tracks_of(1, *((c, 0.5, [LEFT if right else RIGHT]) for c, right in found.items()))
    return step_metrics(score(GROUND_TRUTH, [tracks]), CLASSES, base=(CAT, DOG), old=old, new=new)


@pytest.fixture(scope="module")
def steps() -> list[dict]:
    return [
        step({CAT: True, DOG: True}, old=(), new=(CAT, DOG)),
        step({CAT: True, DOG: False, EMU: True, FOX: True}, old=(CAT, DOG), new=(EMU, FOX)),
    ]


def test_unseen_classes_count_as_zero_in_all_and_not_in_seen(steps):
    first, second = steps
    assert first["mAP_all"] == pytest.approx(200 / 3)
    assert first["mAP_seen"] == first["mAP_base"] == first["mAP_new"] == pytest.approx(100)
    assert first["mAP_old"] is None
    assert second["mAP_all"] == second["mAP_seen"] == pytest.approx(200 / 3)
    assert second["mAP_base"] == second["mAP_old"] == pytest.approx(50)
    assert second["mAP_new"] == pytest.approx(100)  # FOX has no ground truth
    assert second["AR10"] == pytest.approx(200 / 3)


def test_classes_are_keyed_by_the_data_sets_id(steps):
    table = steps[1]["per_class"]
    assert list(table) == [str(c) for c in CLASSES]
    assert list(table[str(CAT)]) == ["AP", "AP50", "AP75", "AR1", "AR10"]
    assert table[str(DOG)]["AP"] == 0.0
    assert table[str(FOX)]["AP"] is None


def test_the_run_ends_with_the_last_step_and_what_was_forgotten(steps):
    final = final_metrics(steps)
    assert final["mAP"] == steps[1]["mAP_all"]
    assert final["AP50"] == steps[1]["AP50"]
    assert final["FR"] == pytest.approx(100 / 3)  # DOG lost, one step ago, N_c = 3
    assert final["FR_max"] == pytest.approx(200 / 3)
    assert final["FR_normalized"] == pytest.approx(50)
    assert final["forgetting"] == pytest.approx(50)
    assert final["bwt"] == pytest.approx(-50)
    assert final["avg_incremental_mAP"] == pytest.approx((100 + 200 / 3) / 2)
    assert final["avg_incremental_mAP_without_base"] == pytest.approx(200 / 3)
    assert final["n_never_learned"] == 0
    assert final["plasticity"] == pytest.approx(100)  # EMU, right after its step; FOX has no ground truth
    assert final["relative_drop"] == pytest.approx(50)  # DOG of CAT and DOG


def test_every_metric_that_is_offered_is_in_the_files_or_measured_against_joint_training(steps):
    final, last = final_metrics(steps), steps[-1]
    elsewhere = {name for name in METRICS if MEASURES[name].against_joint}
    assert elsewhere == {"intransigence"}
    assert elsewhere | final.keys() | last.keys() >= set(METRICS)
    assert last.keys() >= set(STEP_METRICS)
    assert all(metrics.keys() == set(CLASS_METRICS) for metrics in last["per_class"].values())


def test_json_keeps_everything(steps):
    again = json.loads(json.dumps(steps))
    assert again == steps
    assert final_metrics(again) == final_metrics(steps)


def test_a_single_step_has_no_forgetting(steps):
    final = final_metrics(steps[:1])
    assert final["mAP"] == pytest.approx(200 / 3)
    undefined = ("FR", "FR_normalized", "FR_max", "forgetting", "bwt", "plasticity", "relative_drop")
    assert [final[k] for k in undefined] == [None] * len(undefined)
    assert final["avg_incremental_mAP"] == pytest.approx(100)


def test_groups_equal_evaluations_of_their_own():
    ground_truth, predictions = random_set(3)
    old, new = CLASSES[:2], CLASSES[2:]
    metrics = step_metrics(score(ground_truth, predictions), CLASSES, base=old[:1], old=old, new=new)
    for name, classes in (("base", old[:1]), ("old", old), ("new", new), ("seen", CLASSES)):
        assert metrics[f"mAP_{name}"] == score(ground_truth, predictions, classes).summary()["mAP"]
