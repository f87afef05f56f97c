"""Which cells a table has, and what the command tells of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
from sweep_scale import write_finished, write_sweep
from typer.testing import CliRunner

from cvis.cli import app
from cvis.engine.sweep import plan
from cvis.executors.graph import cells_of
from cvis.runs.sweep_file import read_sweep

TABLE = """scenario = "synthetic-20-4"
learner = "finetune"
[[rows]]
name = "joint"
learner = "joint"
[[rows]]
name = "plain"
[[rows]]
name = "crisp"
learner = "crisp"
[[rows]]
name = "wide"
settings = ["segmenter.num_queries=12"]
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "table.toml"
    path.write_text(TABLE)
    return path


def cells(table, seeds=(0,)):
    planned = plan(read_sweep(str(table)), seeds, ["runtime.runs=out"])
    names = [Path("out/synthetic-20-4/mask2former_tiny", p.row, f"seed{p.config.runtime.seed}") for p in planned]
    return cells_of(planned, names)


def test_those_that_share_a_step_0_wait_for_the_one_that_makes_it(table):
    found = {cell.name: cell for cell in cells(table, (0, 1))}
    waits = {name: cell.after for name, cell in found.items()}
    assert waits == {
        "plain/seed0/step0": "",
        "plain/seed1/step0": "",
        "joint/seed0": "",  # trains on everything at once
        "plain/seed0": "plain/seed0/step0",
        "crisp/seed0": "plain/seed0/step0",
        "wide/seed0": "",  # alone with its model
        "joint/seed1": "",
        "plain/seed1": "plain/seed1/step0",
        "crisp/seed1": "plain/seed1/step0",
        "wide/seed1": "",
    }
    words = "run synthetic-20-4 --learner crisp --name crisp --set runtime.runs=out --seed 1"
    assert " ".join(found["crisp/seed1"].words) == words
    assert found["plain/seed0/step0"].words == (*found["plain/seed0"].words, "--stop-after", "0")


def test_a_step_0_that_one_of_them_has_made_is_not_made_again(table, tmp_path):
    step = tmp_path / "out/synthetic-20-4/mask2former_tiny/crisp/seed0/step0"
    step.mkdir(parents=True)
    (step / "metrics.json").write_text("{}")
    assert [cell.name for cell in cells(table)] == ["joint/seed0", "plain/seed0", "crisp/seed0", "wide/seed0"]
    assert not any(cell.after or cell.is_done for cell in cells(table))


def test_the_command_lists_them(table, tmp_path):
    item = next(p for p in plan(read_sweep(str(table)), (0,)) if p.row == "plain")
    done = tmp_path / "out/synthetic-20-4/mask2former_tiny" / item.name
    write_finished(done, item.config.model_dump(mode="json"), train_s=400.0, eval_s=10.0)
    words = ["sweep", str(table), "--runs", "out"]
    result = CliRunner().invoke(app, [*words, "--status", "--json"])
    listed = {item["run"]: (item["state"], item["steps"]) for item in json.loads(result.stdout)}
    waiting = ("waiting", 0)
    assert listed == {"joint/seed0": waiting, "plain/seed0": ("done", 6), "crisp/seed0": waiting, "wide/seed0": waiting}
    result = CliRunner().invoke(app, [*words, "--plan", "--json"])  # seconds an iteration: 0.1, later 1; a test 10
    expected = {item["run"]: item["expected_s"] for item in json.loads(result.stdout)}
    whole, shared = 4000 * 0.1 + 5 * 400 + 6 * 10, 5 * 400 + 6 * 10
    assert expected == {"joint/seed0": whole, "plain/seed0": shared, "crisp/seed0": shared, "wide/seed0": None}
    result = CliRunner().invoke(app, [*words, "--plan", "--limit", "1"])
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[1:-1]] == ["joint/seed0", "plain/seed0"]
    assert "1 done, 1 waiting; left: 41 min 00 s one after the other" in result.stdout
    result = CliRunner().invoke(app, [*words, "--plan", "--smoke", "--json"])
    assert all("schedule.scale=0.01" in item["command"] for item in json.loads(result.stdout))
    assert all("/out-smoke/" in item["folder"] for item in json.loads(result.stdout))


def test_configuration_files_are_read_once_however_many_rows(tmp_path, monkeypatch):
    read = []
    original = mmengine.Config.fromfile
    monkeypatch.setattr(mmengine.Config, "fromfile", lambda file, **how: read.append(file) or original(file, **how))
    sizes = []
    for rows in (10, 50):  # of ten learners
        planned = plan(read_sweep(str(write_sweep(tmp_path / f"{rows}.toml", rows))), range(3))
        assert len({item.config.schedule.incremental.lr for item in planned}) == rows
        sizes.append(len(read))
    assert sizes[1] == 2 * sizes[0]


def test_status_opens_no_results_and_loads_no_torch(table, tmp_path):
    run = tmp_path / "out/synthetic-20-4/mask2former_tiny/plain/seed0"
    run.mkdir(parents=True)
    (run / "metrics.json").write_text("no JSON")
    code = "import sys; from typer.testing import CliRunner; from cvis.cli import app; "
    code += "print(CliRunner().invoke(app, sys.argv[1:]).output); sys.exit('torch' in sys.modules)"
    words = ["sweep", str(table), "--runs", "out", "--status"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split("\n")[-3:]) == (0, ["1 done, 3 waiting", "", ""]), done.stdout


def test_an_unknown_executor_starts_nothing(table, tmp_path):
    result = CliRunner().invoke(app, ["sweep", str(table), "--runs", "out", "--executor", "slrum"])
    assert result.exit_code == 2
    assert "--executor slrum: no such executor; did you mean 'slurm'?" in result.stderr
    assert not (tmp_path / "out").exists()
