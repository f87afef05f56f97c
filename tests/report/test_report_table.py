import json
import math

import pytest
from run_folders import write_row, write_run

from cvis.errors import UserError
from cvis.report import comparison, load_runs, per_step
from cvis.report.result_tables import ResultTables


def table(root, metrics=()):
    (group,) = comparison(load_runs([root]).runs, metrics)
    return group


def test_seeds_become_mean_and_sample_deviation(tmp_path):
    write_run(tmp_path, seed=0, mAP=10.0)
    write_run(tmp_path, seed=3, mAP=14.0)
    (row,) = table(tmp_path).blocks[0].rows
    cell = row.cells["mAP"]
    assert (cell.mean, cell.n, row.seeds) == (12.0, 2, (0, 3))
    assert cell.std == pytest.approx(math.sqrt(8))  # ((10-12)^2 + (14-12)^2) / (2-1)
    assert cell.text() == "12.00 ± 2.83"


def test_one_seed_has_no_deviation_and_a_missing_number_is_a_dash(tmp_path):
    write_run(tmp_path, mAP=10.0, FR=None)
    (row,) = table(tmp_path).blocks[0].rows
    assert row.cells["mAP"].text() == "10.00"
    assert row.cells["FR"].text() == "-"
    assert row.cells["forgetting"].text() == "-"  # not in the file at all


def test_what_final_lacks_comes_from_the_last_step(tmp_path):
    write_run(tmp_path, steps=(40.0, 20.0))
    (row,) = table(tmp_path).blocks[0].rows
    assert row.cells["mAP_base"].mean == 20.0 / 4


def test_ranks_know_which_direction_is_better(tmp_path):
    write_row(tmp_path, "a", mAP=30.0, FR=9.0)
    write_row(tmp_path, "b", mAP=20.0, FR=1.0)
    write_row(tmp_path, "c", mAP=10.0, FR=5.0)
    ranks = {row.learner: (row.cells["mAP"].rank, row.cells["FR"].rank) for row in table(tmp_path).blocks[0].rows}
    assert ranks == {"a": (1, 0), "b": (2, 1), "c": (0, 2)}


def test_numbers_that_print_alike_share_a_rank(tmp_path):
    for name, value in {"a": 30.001, "b": 30.002, "c": 10.0}.items():
        write_row(tmp_path, name, mAP=value)
    assert [row.cells["mAP"].rank for row in table(tmp_path).blocks[0].rows] == [1, 1, 2]


def test_one_seed_and_shared_zeros_have_no_rank(tmp_path):
    write_run(tmp_path, "once", mAP=90.0, FR=0.5)
    for name, values in {
        "a": (30.0, 0.001),
        "b": (20.0, 0.0),
        "c": (10.0, 5.0),
        "d": (0.0, 7.0),
        "e": (0.0, 8.0),
    }.items():
        write_row(tmp_path, name, mAP=values[0], FR=values[1])
    rows = {row.learner: row.cells for row in table(tmp_path).blocks[0].rows}
    assert {name: cells["mAP"].rank for name, cells in rows.items() if cells["mAP"].rank} == {"a": 1, "b": 2}
    assert {name: cells["FR"].rank for name, cells in rows.items() if cells["FR"].rank} == {"c": 2}


def test_an_upper_bound_is_last_and_not_ranked(tmp_path):
    write_row(tmp_path, "a", mAP=10.0)
    write_row(tmp_path, "joint", mAP=60.0, FR=None, steps=(60.0,))
    write_row(tmp_path, "z", mAP=20.0)
    rows = table(tmp_path).blocks[0].rows
    assert [row.learner for row in rows] == ["a", "z", "joint"]
    assert [row.cells["mAP"].rank for row in rows] == [2, 1, 0]


def test_a_row_on_its_own_is_not_the_best_of_anything(tmp_path):
    write_row(tmp_path, "a")
    write_row(tmp_path, "joint")
    assert {cell.rank for row in table(tmp_path).blocks[0].rows for cell in row.cells.values()} == {0}


def test_another_protocol_stands_apart_and_names_the_keys(tmp_path):
    write_row(tmp_path, "a", mAP=10.0)
    write_row(tmp_path, "b", mAP=20.0)
    other = {"init": "coco", "schedule": {"scale": 0.5, "base": {"iterations": 10}}}
    write_row(tmp_path, "c", mAP=90.0, protocol=other)
    first, second = table(tmp_path).blocks
    assert [row.learner for row in first.rows] == ["a", "b"]
    assert first.differs == {}
    assert [row.cells["mAP"].rank for row in first.rows] == [2, 1]
    assert second.differs == {"init": ("coco", "random"), "schedule.scale": (0.5, 1.0)}
    assert [(row.learner, row.init, row.cells["mAP"].rank) for row in second.rows] == [("c", "coco", 0)]


def test_seeds_under_different_protocols_are_never_averaged(tmp_path):
    write_run(tmp_path, seed=0, mAP=10.0)
    write_run(tmp_path, seed=1, mAP=20.0, protocol={"split_sha256": "bb"})
    assert sorted(b.rows[0].cells["mAP"].mean for b in table(tmp_path).blocks) == [10.0, 20.0]


def test_streams_have_tables_of_their_own(tmp_path):
    write_run(tmp_path, scenario="one")
    write_run(tmp_path, scenario="two")
    assert [group.scenario for group in comparison(load_runs([tmp_path]).runs)] == ["one", "two"]


def test_chosen_metrics_are_the_columns_in_the_order_asked(tmp_path):
    write_run(tmp_path)
    assert table(tmp_path, ["FR", "mAP"]).columns == ("FR", "mAP")
    with pytest.raises(UserError, match="--metric mAPP: no such metric; did you mean 'mAP'"):
        table(tmp_path, ["mAPP"])


def test_some_metrics_are_shown_only_when_asked_for(tmp_path):
    write_row(tmp_path, "a", final={"mAP": 1.0, "plasticity": 30.0, "relative_drop": 20.0, "n_never_learned": 2})
    write_row(tmp_path, "b", final={"mAP": 1.0, "plasticity": 10.0, "relative_drop": 60.0, "n_never_learned": 0})
    asked = ("plasticity", "relative_drop", "n_never_learned")
    assert not {*asked, "avg_incremental_mAP_without_base"} & {*table(tmp_path).columns}
    a, b = table(tmp_path, asked).blocks[0].rows
    assert [a.cells[name].mean for name in asked] == [30, 20, 2]
    assert [(a.cells[name].rank, b.cells[name].rank) for name in asked] == [(1, 2), (1, 2), (2, 1)]


def test_per_step_puts_the_upper_bound_at_the_last_step(tmp_path):
    write_run(tmp_path, "a", seed=0, steps=(40.0, 30.0, 10.0))
    write_run(tmp_path, "a", seed=1, steps=(42.0, 30.0, 20.0))
    write_run(tmp_path, "joint", steps=(50.0,))
    (group,) = per_step(load_runs([tmp_path]).runs, "mAP_seen")
    assert group.columns == ("step 0", "step 1", "step 2")
    a, joint = group.blocks[0].rows
    assert [a.cells[c].mean for c in group.columns] == [41.0, 30.0, 15.0]
    assert [joint.cells[c].mean for c in group.columns] == [None, None, 50.0]
    with pytest.raises(UserError, match="--metric FR"):
        per_step(load_runs([tmp_path]).runs, "FR")


def test_json_is_unrounded(tmp_path):
    write_run(tmp_path, mAP=1 / 3)
    (group,) = ResultTables([table(tmp_path)]).content()["groups"]
    row = group["blocks"][0]["rows"][0]
    assert row["metrics"]["mAP"] == {"mean": 1 / 3, "std": None, "n": 1}
    assert (row["seeds"], row["init"], row["upper_bound"]) == ([0], "random", False)


def test_means_over_other_classes_are_set_apart(tmp_path):
    for learner, averaged in {"a": 2, "b": 1}.items():
        folder = write_run(tmp_path, learner)
        content = json.loads((folder / "metrics.json").read_text())
        content["steps"][-1]["per_class"] = {str(c): {"AP": 1.0 if c < averaged else None} for c in range(2)}
        (folder / "metrics.json").write_text(json.dumps(content))
    assert table(tmp_path).blocks[1].differs == {"classes_averaged": (1, 2)}


def test_after_a_tie_for_the_best_the_next_number_is_the_second(tmp_path):
    for name, value in {"a": 30.0, "b": 30.0, "c": 10.0, "d": 10.004, "e": 9.0}.items():
        write_row(tmp_path, name, mAP=value)
    assert [row.cells["mAP"].rank for row in table(tmp_path).blocks[0].rows] == [1, 1, 2, 2, 0]


def test_rows_with_one_label_are_told_apart_by_what_the_runs_are_called(tmp_path):
    write_run(tmp_path, "combo", label="CoMBO")
    write_run(tmp_path, "combo-wide", label="CoMBO")
    write_run(tmp_path, "mib", label="MiB")
    assert [row.name for row in table(tmp_path).blocks[0].rows] == ["CoMBO (combo)", "CoMBO (combo-wide)", "MiB"]
