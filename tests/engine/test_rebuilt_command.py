"""The command rebuilt from a run's record resolves to the very configuration of the run."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.engine.command import rebuilt_command
from cvis.engine.config import fingerprint
from cvis.engine.resolve import resolve


def record_of(scenario, learner, *overrides, **more):
    config = resolve(scenario, learner, overrides=overrides, **more).model_dump(mode="json")
    return {"config": fingerprint(config), "scenario": scenario}, config


CASES = [
    (("synthetic-20-4", "finetune"), {}, "--learner finetune --segmenter mask2former_tiny --seeds 0,1"),
    (("synthetic-20-4", "crisp", "learner.arsp=false"), {"name": "crisp-isc-pi-ic"}, "--name crisp-isc-pi-ic"),
    (
        ("synthetic-20-2", "eclipse", "learner.deltas=[0.5, 0.6]", "schedule.scale=0.5"),
        {},
        "'learner.deltas=[0.5, 0.6]'",
    ),
    (("synthetic-20-4", "crisp"), {"preset": "crisp_paper"}, "--preset crisp_paper"),
    (("synthetic-20-4", "finetune"), {"schedule": "default"}, "--schedule default"),
    (
        ("ytvis2019-20-4", "finetune", "protocol.split=official-valid"),
        {"segmenter": "mask2former_r50"},
        "official-valid",
    ),
    (("synthetic-20-4", "finetune", "segmenter.criterion.num_points=64", "schedule.joint.iterations=7"), {}, "=64"),
]


@pytest.mark.parametrize(("arguments", "more", "has"), CASES)
def test_the_command_makes_the_configuration_again(arguments, more, has, monkeypatch):
    monkeypatch.setattr("cvis.cli.dry_run._outline", lambda config: [])  # not all of these data sets are here
    record, config = record_of(*arguments, **more)
    command = rebuilt_command(record, [0, 1])
    assert command is not None
    assert has in command
    words = shlex.split(command)
    assert words[0] == "cvis"
    result = CliRunner().invoke(app, [*words[1:], "--dry-run"])
    assert result.exit_code == 0, result.stderr
    from mmengine.config import Config

    again = Config.fromstring(result.stdout, ".py").to_dict()
    assert json.loads(json.dumps(fingerprint(again))) == fingerprint(config)


def test_only_what_is_no_default_is_said():
    record, _ = record_of("synthetic-20-4", "finetune", "runtime.seed=4")
    expected = "cvis run synthetic-20-4 --learner finetune --segmenter mask2former_tiny --seed 4"
    assert rebuilt_command(record, [4]) == expected


def test_a_stream_of_the_users_own_is_a_file():
    record, _ = record_of("synthetic-20-4", "finetune")
    assert str(rebuilt_command({**record, "scenario": "mine"}, [0])).startswith("cvis run mine.toml --learner")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record["config"]["names"].update(segmenter="my_own"),
        lambda record: record["config"]["learner"].update(gone=1),
        lambda record: record["config"].pop("names"),
        lambda record: record.clear(),
    ],
)
def test_what_cannot_be_told_is_not_guessed(spoil):
    record, _ = record_of("synthetic-20-4", "finetune")
    spoil(record)
    assert rebuilt_command(record, [0]) is None
