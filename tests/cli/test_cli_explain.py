"""``cvis explain`` on files and on runs."""

from __future__ import annotations

import json

import pytest
from tiny import settings
from typer.testing import CliRunner

from cvis.cli import app
from cvis.evaluation import write_results
from cvis.evaluation.error_kinds import KINDS
from cvis.scenario import load_scenario
from cvis.types import Tracks

RED, GREEN, BLUE, GREY = 1, 2, 3, 4


def call(*arguments):
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def refused(*arguments):
    """The one line that a mistake ends in."""
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def files(stream, tmp_path):
    """The tiny test set, where every red track is called blue and all others are found."""
    test = load_scenario(str(stream)).test
    write_results(tmp_path / "found.json", [relabelled(test, v.id, {RED: BLUE}) for v in test.videos])
    return "--ann", stream.parent / "test.json", "--pred", tmp_path / "found.json"


def relabelled(test, video_id, calls, known=(RED, GREEN, BLUE, GREY)):
    """The annotated tracks of known classes as predictions; ``calls``: class -> class said, None for left out."""
    own = [(calls.get(t.category_id, t.category_id), t) for t in test.tracks[video_id] if t.category_id in known]
    own = [(c, t.segmentations) for c, t in own if c is not None]
    return Tracks(video_id, tuple(c for c, _ in own), (0.5,) * len(own), tuple(masks for _, masks in own))


def test_json_of_files(files):
    content = json.loads(call(*files, "--json").stdout)
    assert (content["schema"], content["names"]["1"]) == (1, "red")
    losses = content["losses"]
    assert set(losses) == {"mean", "per_class", "missing_videos"}
    for own in (losses["mean"], *losses["per_class"].values()):
        assert set(own) == {"ap", "ap50", "num_gt", "counts", "dap50"}
        assert tuple(own["counts"]) == tuple(own["dap50"]) == KINDS
    red, green, blue = (losses["per_class"][str(c)] for c in (RED, GREEN, BLUE))
    assert red["num_gt"] > 0
    assert (red["ap50"], red["dap50"]["wrong_class"], red["dap50"]["missed"]) == (0, pytest.approx(100), 0)
    assert green["ap50"] == pytest.approx(100)
    assert blue["counts"]["wrong_class"] == red["num_gt"]


def test_the_table_begins_with_the_mean_and_then_the_worst(files):
    lines = call(*files).stdout.splitlines()
    assert lines[0].split()[:4] == ["class", "objects", "AP", "AP50"]
    assert lines[1].startswith("mean of classes")
    assert lines[2].startswith("number of errors")
    assert lines[3].split()[:5] == ["red", lines[3].split()[1], "0.00", "0.00", "100.00*"]
    assert "do not add up" in " ".join(lines)


def test_a_plot_of_files(files, tmp_path):
    assert call(*files, "--plot", tmp_path / "a.svg").exit_code == 0
    text = (tmp_path / "a.svg").read_text()
    assert all(name in text for name in ("red", "green", "wrong class"))


def test_classes_without_objects_are_counted_and_not_listed(files, tmp_path):
    content = json.loads(files[1].read_text())
    content["categories"].append({"id": 9, "name": "unseen"})
    truth = tmp_path / "more.json"
    truth.write_text(json.dumps(content))
    result = call("--ann", truth, *files[2:])
    assert "Not shown: 1 classes without an annotated object." in result.stdout
    assert "unseen" not in result.stdout
    assert json.loads(call("--ann", truth, *files[2:], "--json").stdout)["losses"]["per_class"]["9"]["ap"] is None


def test_no_predictions_at_all(files, tmp_path):
    (tmp_path / "none.json").write_text("[]")
    content = json.loads(call(*files[:3], tmp_path / "none.json", "--classes", "green", "--json").stdout)
    assert list(content["losses"]["per_class"]) == [str(GREEN)]
    assert content["losses"]["mean"]["dap50"]["missed"] == 100


@pytest.fixture
def folder(stream, tmp_path):
    """A run of three steps, [red, green], [blue], [grey], as the engine leaves it, with predictions made by hand.

    Step 0 finds all; step 1 takes red for blue; step 2 takes red for grey and leaves green out.
    """
    return make_run(stream, tmp_path / "run", [{}, {RED: BLUE}, {RED: GREY, GREEN: None}])


def make_run(stream, folder, steps, **more):
    scenario = load_scenario(str(stream))
    groups = ((RED, GREEN), (BLUE,), (GREY,)) if len(steps) > 1 else ((RED, GREEN, BLUE, GREY),)
    for step, calls in enumerate(steps):
        known = [c for group in groups[: step + 1] for c in group]
        found = [relabelled(scenario.test, v.id, calls, known) for v in scenario.test.videos]
        write_results(folder / f"step{step}" / "predictions.json.gz", found)
    record = {"config": settings(stream, folder.parent).model_dump(mode="json"), "scenario_hash": scenario.hash}
    (folder / "run.json").write_text(json.dumps(record))
    content = {
        "schema": 1,
        "scenario": scenario.name,
        "learner": "handmade",
        "segmenter": "none",
        "seed": 0,
        "protocol": {},
        "classes": {str(c): scenario.categories[c] for c in scenario.classes},
        "groups": scenario.classes_by_step,
        "steps": [{"new_classes": list(group)} for group in groups[: len(steps)]],
        "final": {},
        **more,
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def edit_record(folder, change):
    content = json.loads((folder / "run.json").read_text())
    change(content)
    (folder / "run.json").write_text(json.dumps(content))


def num_of(stream, category_id):
    return load_scenario(str(stream)).test.num_tracks_of([category_id])


def test_json_of_a_run(folder, stream):
    content = json.loads(call(folder, "--json").stdout)
    assert [content[k] for k in ("schema", "scenario", "learner", "step")] == [1, "tiny", "handmade", 2]
    forgotten, reds, greens, blues = content["forgotten"], *(num_of(stream, c) for c in (RED, GREEN, BLUE))
    assert min(reds, greens, blues) > 0
    zero = {"still": 0, "newer": {}, "older": {}, "poor": 0, "gone": 0}
    assert forgotten["classes"] == {
        "1": {**zero, "num_gt": reds, "found": reds, "newer": {"4": reds}},
        "2": {**zero, "num_gt": greens, "found": greens, "gone": greens},
        "3": {**zero, "num_gt": blues, "found": blues, "still": blues},
    }
    assert forgotten["tasks"]["0"]["found"] == reds + greens
    assert forgotten["total"]["still"] == blues
    assert content["losses"]["per_class"]["1"]["dap50"]["wrong_class"] == pytest.approx(100)
    assert content["losses"]["per_class"]["2"]["dap50"]["missed"] == 100


def test_an_earlier_step(folder, stream):
    content = json.loads(call(folder, "--step", 1, "--json").stdout)
    assert list(content["losses"]["per_class"]) == ["1", "2", "3"]
    assert content["forgotten"]["classes"]["1"]["newer"] == {"3": num_of(stream, RED)}
    assert content["forgotten"]["classes"]["2"]["still"] == num_of(stream, GREEN)


def test_the_tables_and_the_plot_of_a_run(folder, tmp_path, stream):
    result = call(folder, "--plot", tmp_path / "a.svg")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "tiny  handmade  step 2"
    at = lines.index("Where the forgotten AP went")
    assert lines[at + 2].startswith("all old classes")
    assert lines[at + 3].startswith("classes of step 0")
    reds = num_of(stream, RED)
    assert lines[at + 4].split() == ["red", "grey", *map(str, [reds, reds, reds, 0, reds, 0, 0, 0])]
    assert "no longer found" in (tmp_path / "a.svg").read_text()


def test_classes_of_a_run(folder):
    content = json.loads(call(folder, "--classes", "red,grey", "--json").stdout)
    assert list(content["losses"]["per_class"]) == ["1", "4"]
    assert list(content["forgotten"]["classes"]) == ["1"]
    assert "grey" in refused(folder, "--classes", "mauve")
    assert "--classes: 4: not learned by step 1" in refused(folder, "--step", 1, "--classes", "grey")


def test_a_run_of_one_step_forgets_nothing(stream, tmp_path):
    one = make_run(stream, tmp_path / "joint", [{}])
    assert "The run has one step: there is nothing that it could forget." in call(one).stdout
    assert json.loads(call(one, "--json").stdout)["forgotten"] is None


def test_step_0_has_no_old_classes(folder):
    assert "nothing could be forgotten yet" in call(folder, "--step", 0).stdout


def test_moved_data_is_named_and_found_with_data(folder, stream, tmp_path):
    moved = tmp_path / "elsewhere" / "tiny.toml"
    moved.parent.mkdir()
    moved.write_text(stream.read_text())
    edit_record(folder, lambda record: record["config"].update(scenario=str(moved)))
    assert "annotations: 'train.json': no such file" in refused(folder)
    assert call(folder, "--data", stream.parent).exit_code == 0


def test_other_data_is_refused(folder):
    edit_record(folder, lambda record: record.update(scenario_hash="0123456789abcdef"))
    line = refused(folder)
    assert "scenario_hash: '0123456789abc" in line
    assert "has changed since" in line


def test_what_is_not_a_finished_run_is_named(folder, tmp_path):
    assert "is not a folder" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "run.json: does not exist: not the folder of a run" in refused(tmp_path / "empty")
    for step in ("-1", "3"):
        assert f"--step {step}: {folder} has the steps 0 to 2" in refused(folder, "--step", step)
    (folder / "step1" / "predictions.json.gz").unlink()
    assert "step1/predictions.json.gz: does not exist" in refused(folder)
    assert call(folder, "--step", 0).exit_code == 0
    (folder / "metrics.json").unlink()
    assert "the run is unfinished; run the same `cvis run` again" in refused(folder)
    (folder / "run.json").write_text("{")
    assert "run.json: is not complete JSON" in refused(folder)


@pytest.mark.parametrize("part", [{"scenario": 5}, {"protocol": 1}, {"runtime": None}])
def test_a_damaged_configuration_is_named(folder, part):
    edit_record(folder, lambda record: record["config"].update(part))
    ((key, value),) = part.items()
    assert f"run.json: config.{key}: {value}: is not" in refused(folder)


def test_a_learner_that_rests_on_random_text_features_says_so(stream, tmp_path):
    encoder = {"model": "tiny", "pretrained": "random", "sha256": None}
    folder = make_run(stream, tmp_path / "run", [{}, {}, {}], text_encoder=encoder)
    assert call(folder).stdout.splitlines()[0] == "tiny  handmade [random text encoder]  step 2"
    content = json.loads(call(folder, "--json").stdout)
    assert (content["learner"], content["text_encoder"]) == ("handmade", encoder)


def test_options_that_do_not_go_together(files, folder, tmp_path):
    assert "give the folder of a run, or both --ann and --pred" in refused()
    assert "both --ann and --pred" in refused(*files[:2])
    assert "--ann, --pred: given beside the run" in refused(folder, *files)
    assert "--step, --data: belong to a run" in refused(*files, "--step", 1)
    assert "not a format" in refused(*files, "--plot", tmp_path / "a.jpg")
    assert "--classes: 'mauve': not a category" in refused(*files, "--classes", "mauve")


def test_damaged_predictions_are_named(files, tmp_path):
    (tmp_path / "bad.json").write_text('[{"video_id": 1')
    assert "bad.json" in refused(*files[:3], tmp_path / "bad.json")
