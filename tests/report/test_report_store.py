import json

import pytest
from run_folders import write_run

from cvis.errors import UserError
from cvis.report import comparison, load_runs, per_step


def reasons(store):
    return {item.path.name: item.reason for item in store.left_out}


def test_whole_runs_are_found_and_their_steps_are_not_taken_for_runs(tmp_path):
    write_run(tmp_path, "finetune", 0)
    write_run(tmp_path, "finetune", 1)
    write_run(tmp_path, "joint", 0, steps=(50.0,))
    store = load_runs([tmp_path])
    assert [(r.learner, r.seed, len(r.steps)) for r in store.runs] == [
        ("finetune", 0, 3),
        ("finetune", 1, 3),
        ("joint", 0, 1),
    ]
    assert store.left_out == ()
    assert [r.upper_bound for r in store.runs] == [False, False, True]


def test_a_run_reached_by_two_paths_counts_once(tmp_path):
    folder = write_run(tmp_path)
    store = load_runs([tmp_path, folder, folder / "metrics.json"])
    assert len(store.runs) == 1
    assert store.left_out == ()


def test_a_copy_of_a_run_is_left_out_and_names_its_twin(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    store = load_runs([tmp_path])
    assert len(store.runs) == 1
    assert "same run" in store.left_out[0].reason
    assert str(tmp_path / "a") in store.left_out[0].reason


def test_the_same_seed_under_another_protocol_is_another_run(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", protocol={"init": "coco"})
    assert len(load_runs([tmp_path]).runs) == 2


def test_an_unfinished_run_is_named_with_its_steps(tmp_path):
    folder = write_run(tmp_path)
    (folder / "metrics.json").unlink()
    (folder / "step2" / "metrics.json").unlink()
    store = load_runs([tmp_path])
    assert store.runs == ()
    assert store.left_out[0].path == folder
    assert "unfinished, 2 steps done" in store.left_out[0].reason


def damage(folder, how):
    path = folder / "metrics.json"
    content = json.loads(path.read_text())
    if how == "truncated":
        path.write_text(path.read_text()[:-20])
        return
    content.update({"schema 2": {"schema": 2}, "final": {"final": None}}.get(how, {}))
    content.pop({"no protocol": "protocol", "no schema": "schema"}.get(how, ""), None)
    if how == "no steps":
        content["steps"] = []
    if how == "seed":
        content["seed"] = "zero"
    path.write_text("[]" if how == "a list" else json.dumps(content))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("truncated", "not complete JSON"),
        ("schema 2", "schema: 2 is not 1"),
        ("no schema", "schema: None is not 1"),
        ("a list", "schema: None is not 1"),
        ("final", "unfinished"),
        ("no protocol", "protocol: None"),
        ("no steps", "no finished step"),
        ("seed", "seed: 'zero'"),
    ],
)
def test_a_damaged_file_is_left_out_with_its_reason_and_stops_no_other(tmp_path, how, says):
    damage(write_run(tmp_path, seed=0), how)
    write_run(tmp_path, seed=1)
    store = load_runs([tmp_path])
    assert [run.seed for run in store.runs] == [1]
    assert says in store.left_out[0].reason
    assert str(store.left_out[0]).count("metrics.json") == 1


@pytest.mark.parametrize("part", ["final", "steps"])
@pytest.mark.parametrize("value", ["10", [1], {}, True, float("nan"), float("inf"), 10**400])
def test_a_metric_that_is_no_number_leaves_its_run_out(tmp_path, part, value):
    path = write_run(tmp_path, seed=0) / "metrics.json"
    content = json.loads(path.read_text())
    (content["final"] if part == "final" else content["steps"][1])["mAP" if part == "final" else "mAP_all"] = value
    path.write_text(json.dumps(content))
    write_run(tmp_path, seed=1)
    store = load_runs([tmp_path])
    assert [run.seed for run in store.runs] == [1]
    assert store.left_out[0].reason.startswith("final.mAP: " if part == "final" else "steps[1].mAP_all: ")
    assert "is not a number" in store.left_out[0].reason
    assert "\n" not in store.left_out[0].reason
    comparison(store.runs)
    per_step(store.runs)


def test_a_path_that_does_not_exist_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="nowhere: does not exist"):
        load_runs([tmp_path / "nowhere"])
