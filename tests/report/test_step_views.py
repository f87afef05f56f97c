"""Curves along the stream, against numbers worked out by hand and against the table's own."""

from __future__ import annotations

import json
from math import isnan, sqrt

import pytest
from stream_runs import AP, write_stream

from cvis.errors import UserError
from cvis.report import per_step
from cvis.report.formats import render
from cvis.report.result_tables import ResultTables
from cvis.report.views import beside, cost_curves, entries, step_curves, tradeoff
from cvis.runs.find import load_runs

JOINT = {7: (50.0,), 3: (30.0,), 5: (80.0,), 9: (20.0,)}


def runs_of(root):
    return load_runs([root]).runs


def fields(**values):
    return {"step_fields": values}


def test_a_curve_is_mean_and_sample_deviation_over_seeds(tmp_path):
    write_stream(tmp_path, seed=0, **fields(mAP_all=(10.0, 20.0, 30.0)))
    write_stream(tmp_path, seed=1, **fields(mAP_all=(14.0, 20.0, None)))
    (curve,) = step_curves(runs_of(tmp_path))
    assert (curve.label, curve.steps, curve.n, curve.upper_bound) == ("finetune", (0, 1, 2), 2, False)
    assert curve.mean == (12.0, 20.0, 30.0)
    assert curve.std[:2] == pytest.approx((2 * sqrt(2), 0.0))
    assert isnan(curve.std[2])  # one seed has it


def test_a_curve_holds_what_the_table_prints(tmp_path):
    for learner, shift in (("finetune", 0.0), ("eclipse", 5.0)):
        for seed in range(3):
            values = tuple(shift + seed**t for t in range(3))
            write_stream(tmp_path, learner, seed, **fields(AR1=values))
    curves = step_curves(runs_of(tmp_path), "AR1")
    (group,) = per_step(runs_of(tmp_path), "AR1")
    (block,) = group.blocks
    assert [c.label for c in curves] == [row.name for row in block.rows]
    for curve, row in zip(curves, block.rows, strict=True):
        assert curve.mean == pytest.approx([row.cells[name].mean for name in group.columns])
        assert curve.std == pytest.approx([row.cells[name].std for name in group.columns])


def test_protocols_and_text_encoders_never_share_a_curve(tmp_path):
    random = {"model": "tiny", "pretrained": "random", "sha256": None}
    real = {"model": "tiny", "pretrained": "openai", "sha256": "ab" * 32}
    write_stream(tmp_path / "a", "crisp", 0, text_encoder=random)
    write_stream(tmp_path / "b", "crisp", 1, text_encoder=real)
    write_stream(tmp_path / "c", "finetune", 0)
    write_stream(tmp_path / "d", "finetune", 1, protocol={"init": "coco"})
    found = entries(runs_of(tmp_path))
    assert len(found) == 4
    assert all(len(entry.runs) == 1 for entry in found)
    assert len({entry.label for entry in found if entry.row.learner == "crisp"}) == 2
    first, other = (entry for entry in found if entry.row.learner == "finetune")
    assert first.place[:2] == other.place[:2]
    assert first.place != other.place
    assert other.differs == {"init": ("coco", "random")}


def test_the_label_and_the_random_text_encoder_are_shown(tmp_path):
    write_stream(tmp_path, "crisp", label="CRISP", text_encoder={"model": "t", "pretrained": "random", "sha256": None})
    assert [c.label for c in step_curves(runs_of(tmp_path))] == ["CRISP [random text encoder]"]


def test_a_joint_run_bounds_the_same_classes_as_the_others_have(tmp_path):
    write_stream(tmp_path, "finetune", **fields(mAP_base=(1.0, 2.0, 3.0)))
    own = fields(mAP_all=(45.0,), mAP_base=(45.0,), mAP_new=(45.0,))  # of a joint run all its classes are "base"
    write_stream(tmp_path, "joint", ap=JOINT, **own)
    runs = runs_of(tmp_path)

    def bound(metric):
        return next(c for c in step_curves(runs, metric) if c.upper_bound)

    assert bound("mAP_all").steps == (2,)
    assert bound("mAP_all").mean == (45.0,)
    assert bound("mAP_base").mean == (40.0,)  # classes 7 and 3
    assert bound("mAP_new").mean == (20.0,)  # class 9
    assert bound("mAP_old").mean == (pytest.approx(160 / 3),)  # 7, 3, 5


def test_costs_need_not_be_there_and_must_be_numbers(tmp_path):
    folder = write_stream(tmp_path, **fields(trainable_params=(100, 10, 10), train_s=(5.0, None, 1.0)))
    (trained,) = cost_curves(runs_of(tmp_path), "trainable_params")
    (seconds,) = cost_curves(runs_of(tmp_path), "train_s")
    (stored,) = cost_curves(runs_of(tmp_path), "stored_params")
    assert trained.mean == (100, 10, 10)
    assert (seconds.mean[0], isnan(seconds.mean[1]), seconds.mean[2]) == (5.0, True, 1.0)
    assert all(map(isnan, stored.mean))
    content = json.loads((folder / "metrics.json").read_text())
    content["steps"][1]["train_s"] = "long"
    (folder / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"metrics\.json: steps\[1\]\.train_s: 'long'"):
        cost_curves(runs_of(tmp_path), "train_s")


def test_tradeoff_sets_kept_base_classes_against_new_ones(tmp_path):
    for seed in (0, 1):
        write_stream(
            tmp_path,
            seed=seed,
            final={"plasticity": 30.0 + 2 * seed, "forgetting": 4.0},
            **fields(mAP_base=(9.0, 9.0, 20.0 + 4 * seed)),
        )
    write_stream(tmp_path, "joint", ap=JOINT, **fields(mAP_base=(45.0,)))
    own, joint = tradeoff(runs_of(tmp_path))
    assert own.plasticity == (31.0, pytest.approx(sqrt(2)))
    assert own.stability == (22.0, pytest.approx(2 * sqrt(2)))
    assert joint.plasticity[0] == 50.0  # the mean of step 1's 80 and step 2's 20
    assert joint.stability[0] == 40.0
    forgotten, bound = tradeoff(runs_of(tmp_path), "forgetting")
    assert forgotten.stability == (4.0, 0.0)
    assert isnan(bound.stability[0])


def test_sizes_stand_side_by_side_at_every_step(tmp_path):
    for seed in (0, 1):
        write_stream(tmp_path, "finetune", seed, **fields(APs=(1.0, 2.0, 3.0), APm=(4.0, 5.0, 6.0)))
        write_stream(tmp_path, "eclipse", seed, **fields(APs=(9.0, 2.5, 1.0), APm=(4.5, 5.0, 6.0)))
    tables = {metric: per_step(runs_of(tmp_path), metric) for metric in ("APs", "APm", "APl")}
    (group,) = beside(tables)
    assert group.columns[:4] == ("step 0 APs", "step 0 APm", "step 0 APl", "step 1 APs")
    assert len(group.columns) == 9
    by_name = {row.name: row.cells for row in group.blocks[0].rows}
    assert by_name["finetune"]["step 2 APm"].mean == 6.0
    assert by_name["eclipse"]["step 0 APs"].rank == 1
    assert by_name["finetune"]["step 0 APs"].rank == 2
    assert by_name["finetune"]["step 1 APl"].mean is None
    assert group.notes == ("APl: undefined, as no object of the test videos is of that size.",)
    assert "step 2 APl" in render(ResultTables([group]), "latex")


@pytest.mark.parametrize("view", [step_curves, tradeoff, per_step])
def test_an_unknown_metric_names_the_known(tmp_path, view):
    write_stream(tmp_path)
    with pytest.raises(UserError, match=r"--metric nope: .*choose one of mAP_"):
        view(runs_of(tmp_path), "nope")


def test_a_single_step_is_a_curve_of_one_point(tmp_path):
    write_stream(tmp_path, groups=((7, 3, 5, 9),), ap={c: (1.0,) for c in AP}, **fields(mAP_all=(7.0,)))
    (curve,) = step_curves(runs_of(tmp_path))
    assert (curve.steps, curve.mean) == ((0,), (7.0,))
