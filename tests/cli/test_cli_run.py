import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import typer
from tiny import SMALL
from typer.testing import CliRunner

from cvis.cli import app, names

COMMAND = typer.main.get_command(app)
BASE = ["run", "synthetic-20-4", "--learner", "finetune"]


@pytest.fixture
def started(monkeypatch):
    """The configurations that would have been run."""
    configs = []
    engine = SimpleNamespace(run=lambda config, command, stop_after: configs.append(config) or "folder")
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


def test_dry_run_prints_a_config_that_can_be_read_back_its_sources_and_the_steps(started, stream, tmp_path):
    from mmengine.config import Config

    words = ["run", str(stream), "--learner", "crisp", "--dry-run", "--runs", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, "--seed", "4", "--set", "schedule.base.iterations=30"])
    assert (result.exit_code, started) == (0, []), result.stderr
    file = tmp_path / "config.py"
    file.write_text(result.stdout)
    config = Config.fromfile(str(file))
    assert (config.runtime.seed, config.learner.type, config.names.segmenter) == (4, "crisp", "mask2former_tiny")
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert {
        "flip=0.5,",
        "seed=4,  # command line",
        "iterations=30,  # command line",
        "batch_size=4,  # schedule tiny",
        "num_prompts=2,  # segmenter mask2former_tiny",
    } <= {*lines}
    steps = [line.split()[1:] for line in lines if line.startswith("#")]
    assert ["0", "2", "9", "30"] in steps
    assert ["1", "1", "6", "400"] in steps
    assert lines[-1] == "# time: unknown; no run on this stream with this model was timed here"


def test_dry_run_refuses_a_stream_that_cannot_be_run(started, tmp_path):
    for stream, says in (
        ("synthetic-20-5x", "did you mean 'synthetic-20-5'?"),
        (str(tmp_path / "no.toml"), "no such scenario file"),
        ("ytvis2019-20-4", "YouTube-VIS 2019 is not complete there"),
    ):
        result = CliRunner().invoke(app, ["run", stream, "--learner", "finetune", "--dry-run", "--data", str(tmp_path)])
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert says in result.stderr


def test_dry_run_estimates_from_runs_that_were_timed_here(finished, stream):
    runs = finished.parents[3]
    sets = [word for setting in SMALL for word in ("--set", setting)]
    words = ["run", str(stream), "--learner", "finetune", "--runs", str(runs), "--seed", "1", *sets, "--dry-run"]
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert re.fullmatch(r"# time: about [\d:]+, as 1 runs like it took here", lines[-1])
    again = CliRunner().invoke(app, [w if w != "1" else "0" for w in words]).stdout
    assert "stored: a model of this recipe exists" in again


def test_a_typing_error_in_a_name_loads_nothing_heavy():
    """Seven seconds were spent on torch before it was said."""
    code = (
        "import sys; from typer.testing import CliRunner; from cvis.cli import app\n"
        "for words in (['synthetic-20-4', '--learner', 'crips'], ['synthetic-20-44', '--learner', 'crisp'],\n"
        "              ['no.toml', '--learner', 'crisp'], ['synthetic-20-4', '--learner', 'crisp', '--preset', 'x']):\n"
        "    result = CliRunner().invoke(app, ['run', *words])\n"
        "    print(result.exit_code, 'torch' in sys.modules, result.stderr.strip())\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line[:7] for line in said] == ["2 False"] * 4
    assert said[0].endswith("cvis: learner: 'crips' does not exist; did you mean 'crisp'? (or give a file)")


def test_names_are_known_without_imports():
    from cvis.data.datasets import DATASETS
    from cvis.data.formats import FORMATS
    from cvis.engine.resolve import SEGMENTERS
    from cvis.learners import LEARNERS
    from cvis.scenario.spec import list_scenarios

    assert {*LEARNERS.names()} >= {*names.learners()} >= {"crisp", "eclipse", "joint"}
    assert {*SEGMENTERS.names()} - {*names.segmenters()} <= {n for n in SEGMENTERS.names() if "toy" in n}
    assert names.scenarios() == list_scenarios()
    assert (names.presets()[0], "tiny" in names.schedules()) == ("comformer_paper", True)
    assert names.formats() == sorted(FORMATS)
    assert names.datasets() == sorted(DATASETS)


@pytest.mark.parametrize(
    ("before", "typed", "whole"),
    [
        ("run", "synthetic-20-", "synthetic-20-4"),
        ("run x --learner", "ecl", "eclipse"),
        ("run x --segmenter", "vistr_", "vistr_tiny"),
        ("run x --schedule", "ti", "tiny"),
        ("run x --preset", "crisp_c", "crisp_code"),
        ("scenario show", "ovis-15-", "ovis-15-5"),
        ("score --scenario", "ytvis2019-20-", "ytvis2019-20-2"),
        ("learners", "com", "combo"),
        ("learners", "ne", "new"),
        ("learners", "--seg", "--segmenter"),
        ("learners crisp", "--seg", "--segmenter"),
        ("learners list", "anc", "anchor"),
        ("learners crisp --segmenter", "ctvis_t", "ctvis_tiny"),
        ("segmenters", "mask2former_sw", "mask2former_swin_l"),
        ("check-learner", "bal", "balconpas"),
        ("check-learner x --segmenter", "vis", "vistr_r50"),
        ("check-segmenter", "ct", "ctvis_r50"),
        ("compare x --metric", "FR_", "FR_normalized"),
        ("compare x --format", "la", "latex"),
        ("compare --published", "syn", "synthetic-20-4"),
        ("steps x --metric", "mAP_b", "mAP_base"),
        ("plot x --kind", "cu", "curves"),
        ("sweep", "crisp_t", "crisp_table7"),
        ("sweep x --scenario", "ovis", "ovis-15-10"),
        ("sweep x --preset", "com", "comformer_paper"),
        ("data import x --from", "coco-", "coco-video"),
        ("data check x --dataset", "ytvis2", "ytvis2021"),
    ],
)
def test_a_shell_completes_names(before, typed, whole, monkeypatch, capsys):
    words = f"cvis {before} {typed}"
    shell = {"_CVIS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        COMMAND.main([], prog_name="cvis")
    offered = capsys.readouterr().out.split()
    assert whole in offered
    assert all(word.startswith(typed) for word in offered)


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
    engine = SimpleNamespace(run=lambda config, command, stop_after: commands.append(command) or "folder")
    monkeypatch.setitem(sys.modules, "cvis.engine.run", engine)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cvis", *BASE, "--seeds", "0,1", "--set", "learner.deltas=[0, 1]"])
    assert call("--seeds", "0,1").exit_code == 0
    assert commands == ["cvis run synthetic-20-4 --learner finetune --seeds 0,1 --set 'learner.deltas=[0, 1]'"] * 2
