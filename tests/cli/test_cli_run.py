import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cvis.cli import app

BASE = ["run", "synthetic-20-4", "--learner", "finetune"]


@pytest.fixture
def started(monkeypatch):
    """The configurations that would have been run."""
    configs = []
    engine = SimpleNamespace(run=lambda config, command: configs.append(config) or "folder")
    monkeypatch.setitem(sys.modules, "cvis.engine.run", engine)
    return configs


def call(*options):
    return CliRunner().invoke(app, [*BASE, *options])


def test_options_reach_their_keys(started, tmp_path):
    options = {
        "--data": str(tmp_path),
        "--runs": "1",  # a folder whose name looks like a number stays text
        "--init": "imagenet",
        "--device": "cpu",
        "--workers": "2",
        "--launcher": "none",
        "--seed": "5",
        "--name": "mine",
    }
    result = call(*(word for pair in options.items() for word in pair), "--set", "schedule.scale=0.5")
    assert result.exit_code == 0, result.stderr
    (config,) = started
    runtime = config.runtime
    assert {key: getattr(runtime, key) for key in ("data", "runs", "device", "workers", "launcher", "seed")} == {
        "data": str(tmp_path),
        "runs": "1",
        "device": "cpu",
        "workers": 2,
        "launcher": "none",
        "seed": 5,
    }
    assert config.protocol.init == "imagenet"
    assert config.schedule.scale == 0.5
    assert config.names.run == "mine"
    assert result.stdout == "folder\n"


def test_without_options_the_files_decide(started):
    assert call().exit_code == 0
    assert started[0].runtime.runs == "runs"
    assert started[0].runtime.seed == 0
    assert call("--set", "runtime.seed=3").exit_code == 0
    assert started[1].runtime.seed == 3


def test_a_preset_and_nested_settings_of_a_learner_reach_the_configuration(started):
    words = ["run", "synthetic-20-4", "--learner", "crisp", "--preset", "crisp_code", "--segmenter", "mask2former_r50"]
    sets = ["--set", "learner.text_encoder.pretrained=random", "--set", "learner.arsp=false"]
    result = CliRunner().invoke(app, [*words, *sets])
    assert result.exit_code == 0, result.stderr
    (config,) = started
    assert (config.names.preset, config.names.run) == ("crisp_code", "crisp-crisp_code")
    assert config.protocol.other_class_policy == "empty_target"
    assert config.learner["text_encoder"] == {"model": "ViT-B-32-quickgelu", "pretrained": "random"}
    assert config.learner["arsp"] is False


def test_seeds_make_one_run_each(started):
    assert call("--seeds", "0,1,7").exit_code == 0
    assert [config.runtime.seed for config in started] == [0, 1, 7]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--seeds", "0,x"], "--seeds 0,x: is not a list of whole numbers"),
        (["--seeds", "1,1"], "names a seed twice"),
        (["--seeds", "1", "--seed", "0"], "both given"),
        (["--set", "schedule.scael=1"], "schedule.scael: 1: no such key; did you mean 'scale'?"),
        (["--set", "schedule"], "is not key=value"),
        (["--device", "tpu"], "runtime.device: 'tpu'"),
        (["--segmenter", "nothing"], "segmenter: 'nothing' does not exist"),
        (["--schedule", "nothing"], "schedule: 'nothing' does not exist"),
        (["--learner", "nothing"], "learner: 'nothing' does not exist"),
    ],
)
def test_mistakes_are_one_line_and_start_nothing(started, options, says):
    result = call(*options)
    assert (result.exit_code, started) == (2, [])
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr


def test_dry_run_prints_a_config_that_can_be_read_back(started, tmp_path):
    from mmengine.config import Config

    result = call("--dry-run", "--seed", "4")
    assert (result.exit_code, started) == (0, [])
    file = tmp_path / "config.py"
    file.write_text(result.stdout)
    config = Config.fromfile(str(file))
    assert (config.runtime.seed, config.learner.type, config.names.segmenter) == (4, "finetune", "mask2former_tiny")


@pytest.mark.parametrize(
    ("options", "loggers"),
    [
        ((), ["tensorboard"]),
        (("--logger", "wandb"), ["wandb"]),
        (("--logger", "aim", "--logger", "tensorboard"), ["aim", "tensorboard"]),
        (("--logger", "none"), []),
    ],
)
def test_trackers_are_chosen_by_one_flag(started, options, loggers):
    assert call(*options).exit_code == 0
    assert started[0].runtime.loggers == loggers


def test_trackers_that_make_no_sense_are_one_line(started):
    result = call("--logger", "none", "--logger", "wandb")
    assert (result.exit_code, result.stderr) == (2, "cvis: --logger none: given beside wandb; keep one\n")
    result = call("--logger", "neptune")
    assert result.exit_code == 2
    assert result.stderr.startswith("cvis: runtime.loggers.0: 'neptune': not possible; choose 'tensorboard', ")
    assert started == []


def test_a_run_is_told_how_it_was_typed(started, monkeypatch):
    commands = []
    engine = SimpleNamespace(run=lambda config, command: commands.append(command) or "folder")
    monkeypatch.setitem(sys.modules, "cvis.engine.run", engine)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cvis", *BASE, "--seeds", "0,1", "--set", "learner.deltas=[0, 1]"])
    assert call("--seeds", "0,1").exit_code == 0
    assert commands == ["cvis run synthetic-20-4 --learner finetune --seeds 0,1 --set 'learner.deltas=[0, 1]'"] * 2
