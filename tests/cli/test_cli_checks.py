"""``cvis check-learner`` and ``cvis check-segmenter``: a line per check, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import dense_toy  # noqa: F401  # registers itself
import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.testing.check import described
from cvis.testing.learner import CHECKS as OF_LEARNERS
from cvis.testing.segmenter import CHECKS as OF_SEGMENTERS

PLUGIN = """
from cvis.learners.finetune import FineTune
class Doubled(FineTune):
    def loss(self, clip):
        return {name: 2 * value for name, value in super().loss(clip).items()}
"""


def call(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_a_learner_in_a_file_that_fails_a_check(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    result = call("check-learner", f"{file}:Doubled", "--segmenter", "dense_toy")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line[:16].strip() for line in lines] == [name for name, _ in described(OF_LEARNERS)]
    (failed,) = (line for line in lines if " failed " in line)
    assert failed.startswith("own step0")
    assert "set own_step0 = True" in failed


def test_a_segmenter_that_passes_as_json():
    result = call("check-segmenter", "dense_toy", "--set", "segmenter.width=4", "--json")
    assert result.exit_code == 0
    outcomes = json.loads(result.stdout)
    assert {each["status"] for each in outcomes} == {"passed", "not applicable"}
    (groups,) = (each for each in outcomes if each["check"] == "query groups")
    assert groups["says"] == "it does not declare query_groups"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check-learner", "finetun"), "'finetun' does not exist; did you mean 'finetune'"),
        (("check-learner",), "no learner given; name one"),
        (("check-learner", "finetune", "--set", "learner.wait=2"), "learner.wait: 2: no such key"),
        (("check-segmenter", "mask2former_tiniest"), "'mask2former_tiniest' does not exist"),
        (("check-segmenter",), "no segmenter given; name one"),
    ],
)
def test_a_wrong_name_is_one_line_and_2(arguments, says):
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("command", "checks"), [("check-learner", OF_LEARNERS), ("check-segmenter", OF_SEGMENTERS)])
def test_what_each_check_holds_is_listed_and_documented(command, checks):
    listed = json.loads(call(command, "--list", "--json").stdout)
    assert [(each["check"], each["holds"]) for each in listed] == described(checks)
    assert all(name in call(command, "--list").stdout for name, _ in described(checks))
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    rows = [f"| {name} | {holds} |" for name, holds in described(checks)]
    assert "\n".join(rows) in page  # copy them from --list --json
