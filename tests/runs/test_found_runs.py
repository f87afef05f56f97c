"""Finished runs below a folder: which are found, and what is said of the others."""

import hashlib
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
        ("a list", "list: is not an object"),
        ("final", "final: None"),
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


def test_the_run_knows_its_label_classes_and_id(tmp_path):
    folder = write_run(tmp_path, label="A  label", classes={"2": "cat", "1": "dog", "0": "ape"}, groups=[[0], [1], [2]])
    (run,) = load_runs([tmp_path]).runs
    assert (run.label, run.name, run.classes) == ("A label", "A label", {2: "cat", 1: "dog", 0: "ape"})
    assert run.groups == run.learned == ((0,), (1,), (2,))
    assert run.run_id == hashlib.sha256((folder / "metrics.json").read_bytes()).hexdigest()[:12]


def test_older_files_have_no_label(tmp_path):
    write_run(tmp_path, "finetune")
    assert load_runs([tmp_path]).runs[0].label == "finetune"


def test_joint_training_learns_all_groups_in_its_one_step(tmp_path):
    path = write_run(tmp_path, "joint", steps=(1.0,)) / "metrics.json"
    content = json.loads(path.read_text())
    content.update(groups=[[7, 3], [5]], classes={"7": "a", "3": "b", "5": "c"})
    content["steps"][0]["new_classes"] = [7, 3, 5]
    path.write_text(json.dumps(content))
    (run,) = load_runs([tmp_path]).runs
    assert (run.groups, run.learned) == (((7, 3), (5,)), ((7, 3, 5),))


@pytest.mark.parametrize("classes", [None, "ab", [9], [0], [1, 1], [[1]], [True]])
def test_classes_of_a_step_that_are_no_new_classes_of_the_stream_are_named(tmp_path, classes):
    """Class 0 is that of step 0, and cannot come again."""
    path = write_run(tmp_path) / "metrics.json"
    content = json.loads(path.read_text())
    content["steps"][1]["new_classes"] = classes
    path.write_text(json.dumps(content))
    (item,) = load_runs([tmp_path]).left_out
    assert item.reason.startswith("steps[1].new_classes: ")


def test_a_class_without_a_name_is_named(tmp_path):
    write_run(tmp_path, classes={"0": "ape", "1": "dog"})
    (item,) = load_runs([tmp_path]).left_out
    assert item.reason.startswith("classes: has no name of class 2")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label", 3),
        ("label", " "),
        ("classes", []),
        ("classes", {"a": "dog"}),
        ("classes", {"1": None}),
        ("groups", {}),
        ("groups", [1]),
        ("groups", [["1"]]),
    ],
)
def test_a_wrong_record_is_named(tmp_path, name, value):
    write_run(tmp_path, **{name: value})
    (item,) = load_runs([tmp_path]).left_out
    assert item.reason.startswith(f"{name}: {value!r} is not what schema 1 has there")


def test_nan_anywhere_leaves_the_run_out(tmp_path):
    write_run(tmp_path, protocol={"schedule": {"scale": float("nan")}})
    (item,) = load_runs([tmp_path]).left_out
    assert "NaN, Infinity" in item.reason


def test_two_runs_of_one_cell_under_two_protocols_are_both_kept_and_named(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", protocol={"schedule": {"scale": 0.5, "base": {"iterations": 10}}})
    store = load_runs([tmp_path])
    (item,) = store.set_apart
    assert len(store.runs) == 2
    assert item.reason.endswith("under another protocol: schedule.scale = 0.5, not 1.0")
    (group,) = comparison(store.runs)
    assert [(row.seeds, row.cells["mAP"].n) for block in group.blocks for row in block.rows] == [((0,), 1), ((0,), 1)]


def test_two_encoders_do_not_claim_one_cell(tmp_path):
    for name in ("openai", "random"):
        write_run(tmp_path / name, text_encoder={"model": "tiny", "pretrained": name, "sha256": None})
    assert load_runs([tmp_path]).set_apart == ()


def test_a_null_key_is_as_good_as_none(tmp_path):
    write_run(tmp_path / "a", protocol={"preset": None})
    write_run(tmp_path / "b", seed=1)
    assert len(comparison(load_runs([tmp_path]).runs)[0].blocks) == 1


def test_the_insides_of_steps_are_no_runs(tmp_path):
    folder = write_run(tmp_path)
    inside = folder / "step0" / "cache"
    inside.mkdir()
    (inside / "run.json").write_text("{}")
    store = load_runs([tmp_path])
    assert (len(store.runs), store.left_out) == (1, ())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"label": "\x1b[31mred"}, "label"),
        ({"label": "abc\u202edef"}, "label"),
        ({"learner": ""}, "learner"),
        ({"scenario": "a\nb"}, "scenario"),
        ({"segmenter": "\x07"}, "segmenter"),
        ({"protocol": {"init": "\x1b]0;title\x07"}}, "protocol.init"),
        ({"classes": {"1": "dog\x9b2J"}}, "classes.1"),
        ({"text_encoder": {"model": "\x00", "pretrained": "random", "sha256": None}}, "text_encoder.model"),
    ],
)
def test_names_that_steer_a_terminal_or_are_invisible_are_refused(tmp_path, change, field):
    path = write_run(tmp_path) / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    (item,) = load_runs([tmp_path]).left_out
    assert item.reason.startswith(f"{field}: ")
    assert item.reason.isascii()
    assert item.reason.isprintable()


def test_names_of_every_script_are_names(tmp_path):
    label = "학습 ñ é 👩‍🔬"
    write_run(tmp_path, label=label)
    assert load_runs([tmp_path]).runs[0].label == label


def test_half_a_character_is_not_called_a_number(tmp_path):
    path = write_run(tmp_path, learner="finetune") / "metrics.json"
    path.write_text(path.read_text().replace('"finetune"', '"x\\ud800"'))
    (item,) = load_runs([tmp_path]).left_out
    assert item.reason.startswith("learner: ")
    path.write_text(path.read_text().replace('"x\\ud800"', '"x", "more": "\\ud800"'))
    (item,) = load_runs([tmp_path]).left_out
    assert "half a character (" in item.reason
