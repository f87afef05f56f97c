"""A run read back: from its ``run.json`` alone, also of an older version, and never by running its ``config.py``."""

import json
import shutil

import pytest
from tiny import settings

from cvis.engine.config import fingerprint
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.runs.open import open_run


@pytest.fixture
def folder(finished, tmp_path):
    """A run of our own to break; its config.py would be noticed."""
    copy = shutil.copytree(finished, tmp_path / "runs" / finished.relative_to(finished.parents[3]))
    (copy / "config.py").write_text("raise SystemExit('config.py was run')")
    return copy


def edit(folder, change):
    record = json.loads((folder / "run.json").read_text())
    change(record)
    (folder / "run.json").write_text(json.dumps(record))


def test_the_record_holds_the_whole_configuration(stream, finished):
    expected = settings(stream, finished.parents[3])
    assert open_run(finished).config == expected.model_dump(mode="json")


def test_stream_and_results_are_those_of_the_run(folder):
    opened = open_run(folder)
    assert opened.scenario().classes_by_step == opened.result.groups == ((1, 2), (3,), (4,))
    assert opened.learned == opened.result.learned == ((1, 2), (3,), (4,))
    assert opened.name == opened.result.name == "finetune"


def test_an_unfinished_run_has_what_its_finished_steps_left(folder):
    (folder / "metrics.json").unlink()
    (folder / "step2" / "metrics.json").unlink()
    opened = open_run(folder)
    assert (opened.learned, opened.name) == (((1, 2), (3,)), "finetune")
    with pytest.raises(UserError, match=r"metrics\.json: does not exist: the run is unfinished"):
        _ = opened.result
    (folder / "step1" / "metrics.json").write_text('{"new_classes": 3}')
    with pytest.raises(UserError, match=r"step1/metrics\.json: new_classes: 3: is not a list"):
        _ = open_run(folder).learned


def old_record(record):
    """As older versions wrote it: the part that resuming compares, without the stream and places on disk."""
    record["config"] = fingerprint(record["config"])


def test_a_record_of_an_older_version_names_a_shipped_stream(folder, monkeypatch):
    asked = []

    def load(name, data, **overrides):
        asked.append((name, data, overrides))
        raise UserError("enough")

    monkeypatch.setattr("cvis.runs.open.load_scenario", load)
    edit(folder, lambda record: (old_record(record), record.update(scenario="synthetic-20-4")))
    edit(folder, lambda record: record["config"]["protocol"].update(visibility="disjoint"))
    with pytest.raises(UserError, match="enough"):
        open_run(folder).scenario()
    assert asked == [("synthetic-20-4", None, {"visibility": "disjoint"})]


def test_the_config_of_an_older_version_is_read_as_literals(folder, finished):
    edit(folder, old_record)
    shutil.copy(finished / "config.py", folder)
    assert open_run(folder).scenario().name == "tiny"


def test_the_same_run_again_completes_a_record_of_an_older_version(stream, folder):
    edit(folder, old_record)
    with pytest.raises(UserError, match=r"config\.py: line 1: is code.*run the same `cvis run` again"):
        open_run(folder).scenario()
    (folder / "config.py").unlink()
    with pytest.raises(UserError, match=r"run\.json: config\.scenario: None: .*run the same `cvis run` again"):
        open_run(folder).scenario()
    whole = settings(stream, folder.parents[3])
    assert run(whole) == folder
    assert open_run(folder).scenario().name == "tiny"
    assert open_run(folder).record["status"] == "done"


def test_a_finished_run_learns_where_its_data_are_now(stream, folder, tmp_path):
    """The same command with another --data is no other run; what reads the run back finds the data then."""
    moved = shutil.copytree(stream.parent, tmp_path / "moved")
    run(settings(moved / "tiny.toml", folder.parents[3]))
    assert open_run(folder).config["scenario"] == str(moved / "tiny.toml")


@pytest.mark.parametrize("then", ["0" * 64, None])
def test_another_data_set_is_refused(folder, then):
    edit(folder, lambda record: record.update(scenario_hash=then))
    with pytest.raises(UserError, match=r"scenario_hash: .*has changed since the run; .*--data"):
        open_run(folder).scenario()


@pytest.mark.parametrize("part", ["names", "protocol", "runtime", "learner", "segmenter"])
def test_a_part_that_is_missing_is_named(stream, folder, part):
    edit(folder, lambda record: record["config"].pop(part))
    with pytest.raises(UserError, match=rf"run\.json: config\.{part}: None: is not an object; copy it again"):
        open_run(folder)
    with pytest.raises(UserError, match=rf"run\.json: config\.{part}: None: is not an object; copy it again"):
        run(settings(stream, folder.parents[3]))


def test_a_step_that_a_run_does_not_have_is_refused(folder):
    result = open_run(folder).result
    assert (result.step_at(None), result.step_at(0)) == (2, 0)
    for step in (-1, 3):
        with pytest.raises(UserError, match=rf"--step {step}: .* has the steps 0 to 2"):
            result.step_at(step)
