"""Step 0 starts from what an earlier run left behind; a damaged file of a run says so in our own words."""

import shutil

import pytest
import torch
from tiny import settings

from cvis.engine import checkpoint
from cvis.engine.initial import init_identity, load_initial, refuse_later_classes
from cvis.engine.resolve import resolve
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.runs.open import open_run
from cvis.scenario import load_scenario
from cvis.segmenters import build_segmenter


def test_a_run_or_one_of_its_steps_is_where_step_0_begins(finished):
    config = open_run(finished).config["segmenter"]
    for init, steps in ((finished, 3), (finished / "step2", 3), (finished / "step0", 1)):
        segmenter = build_segmenter(config)
        report = load_initial(segmenter, str(init))
        state = checkpoint.overlay([finished / f"step{t}" / "model.pth" for t in range(steps)])
        for name, value in segmenter.state_dict().items():
            assert torch.equal(value, state[f"segmenter.{name}"]), name
        assert report.source == str(init)
        assert any(key.startswith("class_heads") for key in report.unexpected)  # of that run's classes
        assert not {*report.matched} & {*report.unexpected}
    assert (
        init_identity(str(finished)) == init_identity(str(finished / "step2")) != init_identity(str(finished / "step0"))
    )
    assert len(init_identity(str(finished))) == 64
    assert init_identity("random") == "random"


def test_another_model_may_begin_with_the_backbone_alone(finished):
    config = open_run(finished).config["segmenter"]
    widths = config["backbone"]["widths"]
    shallow = {"type": "ConvBackbone", "widths": widths[:3], "skip": 1}
    vistr = {"type": "vistr", "backbone": shallow, "in_channels": widths[1:3], "strides": (4, 8), "dim": 12}
    vistr |= {"mask_head": {"heads": 1, "widths": (8, 8)}, "num_frames": 1, "encoder": {"heads": 1}}
    model = build_segmenter({**vistr, "decoder": {"heads": 1}})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = load_initial(model, f"backbone:{finished / 'step0'}")
    state = checkpoint.overlay([finished / "step0" / "model.pth"])
    for name, value in model.state_dict().items():
        expected = state[f"segmenter.{name}"] if name.startswith("backbone.") else before[name]
        assert torch.equal(value, expected), name
    assert report.source == f"backbone:{finished / 'step0'}"
    assert {name.partition(".")[0] for name in report.matched} == {"backbone"}
    assert any(name.startswith("backbone.stages.3") for name in report.unexpected)  # a level that it does not have
    whole = init_identity(str(finished / "step0"))
    assert report.sha256 == whole
    assert init_identity(report.source) == f"backbone:{whole}"  # other weights


def test_a_model_that_comes_with_cvis_has_a_name():
    segmenter = build_segmenter(resolve("synthetic-20-4", "finetune").segmenter)
    report = load_initial(segmenter, "shipped/cde46c50cf6f40fb")
    assert report.source == "shipped/cde46c50cf6f40fb"
    assert report.sha256 == init_identity(report.source)
    assert all(name.startswith("class_heads.") for name in report.unexpected)  # all else is the model's
    assert not report.missing or all(name.startswith("class_heads.") for name in report.missing)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("shipped/", "init: shipped/: no such model comes with cvis; there is shipped/"),
        ("shipped/../x", "no such model comes with cvis"),
        ("backbone:", "init: backbone:: of which model"),
    ],
)
def test_a_name_that_names_nothing_says_what_there_is(init, message):
    with pytest.raises(UserError, match=message):
        init_identity(init)


def test_a_backbone_must_be_in_the_file_and_fit(tmp_path, finished):
    config = open_run(finished).config["segmenter"]
    config["backbone"] = {**config["backbone"], "widths": (8, *config["backbone"]["widths"][1:])}
    torch.save({"heads.weight": torch.ones(1)}, tmp_path / "heads.pth")
    for init, message in (
        (f"backbone:{tmp_path / 'heads.pth'}", "no key fits this segmenter"),
        ("backbone:shipped/0000", "no such model comes with cvis"),
        ("backbone:shipped/cde46c50cf6f40fb", "backbone.stages.0.0.weight: shape"),
    ):
        with pytest.raises(UserError, match=message):
            load_initial(build_segmenter(config), init)


def test_a_shipped_model_brings_no_class_of_a_later_step():
    init = "backbone:shipped/cde46c50cf6f40fb"
    refuse_later_classes(init, load_scenario("synthetic-20-2"))
    for name in ("synthetic-10-10", "synthetic-confusable-20-4"):
        with pytest.raises(UserError, match=f"has learned 1. classes that step 0 of {name} does not have"):
            refuse_later_classes(init, load_scenario(name))
        refuse_later_classes("random", load_scenario(name))


def test_a_run_that_cannot_begin_leaves_no_folder_and_one_that_has_begun_keeps_it(stream, tmp_path):
    for _ in range(2):
        with pytest.raises(UserError, match=r"nosuch\.pth: cannot be read"):
            run(settings(stream, tmp_path / "runs", "finetune", "protocol.init=backbone:nosuch.pth"))
        assert not any((tmp_path / "runs").iterdir())
    folder = run(settings(stream, tmp_path / "runs"), stop_after=0)
    with pytest.raises(UserError, match=r"protocol\.init: this run was begun with 'random'"):
        run(settings(stream, tmp_path / "runs", "finetune", "protocol.init=nosuch.pth"))
    assert (folder / "step0" / "metrics.json").is_file()
    assert (folder / "config.py").is_file()


def test_a_folder_without_a_model_is_refused(tmp_path, finished):
    (tmp_path / "step1").mkdir()
    for folder in (tmp_path, tmp_path / "step1"):
        with pytest.raises(UserError, match="holds no model of a run"):
            load_initial(build_segmenter(open_run(finished).config["segmenter"]), str(folder))


def test_a_damaged_checkpoint_is_not_unpickled_and_nobody_is_told_to(tmp_path, finished):
    shutil.copy(finished / "step0" / "model.pth", tmp_path / "model.pth")
    torch.save({"state": build_segmenter}, tmp_path / "code.pth")  # a function: more than tensors
    (tmp_path / "model.pth").write_bytes(b"no zip file")
    for name in ("model.pth", "code.pth"):
        with pytest.raises(UserError) as error:
            checkpoint.load(tmp_path / name, state=dict)
        assert "is not a readable checkpoint (it is damaged, or holds more than tensors" in str(error.value)
        assert "weights_only" not in str(error.value)
