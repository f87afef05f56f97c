"""What the README shows works: its learner, its commands."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvis.cli import app

README = Path(__file__).resolve().parents[1] / "README.md"
SMALL = (
    "schedule.base.iterations=2",
    "schedule.incremental.iterations=2",
    "schedule.batch_size=2",
    "sampling.short_sides=[32]",
    "segmenter.criterion.num_points=64",
    "runtime.loggers=[]",
)


def cvis(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.mark.parametrize("name", ["MyMethod", "MyDistillation"])
def test_its_learners_run_from_the_command_line_into_a_table(name, stream, tmp_path):
    code = next(block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if name in block)
    plugin = tmp_path / "mine.py"
    plugin.write_text(code)
    runs = tmp_path / "runs"
    settings = [part for setting in (*SMALL, "learner.weight=2") for part in ("--set", setting)]
    result = cvis("run", stream, "--learner", f"{plugin}:{name}", "--device", "cpu", "--runs", runs, *settings)
    assert result.exit_code == 0, result.output
    table = cvis("compare", runs, "--json")
    assert table.exit_code == 0
    rows = json.loads(table.stdout)["groups"][0]["blocks"][0]["rows"]
    assert [row["learner"] for row in rows] == [name]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^ +cvis ([a-z]+)", README.read_text(), re.MULTILINE))))
def test_its_commands_exist(command):
    assert cvis(command, "--help").exit_code == 0


def test_it_names_every_shipped_stream_and_segmenter():
    text = README.read_text()
    root = README.parent
    for name in ("ytvis2019-20-4", "ytvis2019-20-2", "ytvis2021-20-5", "ytvis2021-10-10", "ovis-15-5", "ovis-15-10"):
        assert name in text
        assert (root / "scenarios" / f"{name}.toml").is_file()
    for path in (root / "configs" / "segmenters").glob("*.py"):
        assert path.stem.removeprefix("mask2former") in text
