"""``cvis matrix`` from names to the table: what is run, what is skipped, and what only looks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from run_folders import write_run
from tiny import SMALL, SMALL_MODEL
from typer.testing import CliRunner

from cvis.cli import app, names

PICKY = """
from cvis import Learner
from cvis.errors import UserError


class Picky(Learner):
    def __init__(self, segmenter):
        super().__init__(segmenter)
        if type(segmenter).__name__ == "VisTR":
            raise UserError("set segmenter.background=true")

    def loss(self, clip):
        return self.segmenter.losses(clip)
"""
MODELS = "mask2former_tiny,vistr_tiny"


@pytest.fixture
def ran(monkeypatch):
    """Runs that take no time, in the order in which they were made."""
    made = []

    def run(config, command):
        learner, segmenter, seed = config.names.run, config.names.segmenter, config.runtime.seed
        made.append(f"{segmenter}/{learner}/{seed}")
        mAP = 10.0 * len(learner) + seed
        return write_run(Path(config.runtime.runs), learner, seed, mAP=mAP, segmenter=segmenter)

    monkeypatch.setitem(sys.modules, "cvis.engine.run", SimpleNamespace(run=run))
    return made


def call(*words):
    return CliRunner().invoke(app, ["matrix", "synthetic-20-4", *map(str, words)])


def test_pairs_are_run_once_seed_by_seed_and_the_table_says_what_cannot_be(ran, tmp_path):
    picky = tmp_path / "picky.py"
    picky.write_text(PICKY)
    learners = f"finetune,crisp,{picky}:Picky"
    words = ("--learners", learners, "--segmenters", MODELS, "--seeds", "0,1", "--runs", tmp_path / "runs")
    listed = json.loads(call(*words, "--plan", "--json").stdout)
    pairs = ["mask2former_tiny/finetune", "mask2former_tiny/crisp", "mask2former_tiny/Picky", "vistr_tiny/finetune"]
    first = [(f"mask2former_tiny/finetune/seed{seed}/step0", "") for seed in (0, 1)]
    rest = [(f"{pair}/seed{k}", first[k][0] if pair.startswith("m") else "") for k in (0, 1) for pair in pairs]
    assert [(cell["run"], cell["after"]) for cell in listed] == [*first, *rest]
    status = json.loads(call(*words, "--status", "--json").stdout)
    assert [(cell["row"], cell["seed"], cell["state"]) for cell in status] == [
        (pair, seed, "waiting") for seed in (0, 1) for pair in pairs
    ]
    assert ran == []

    made = call(*words)
    assert made.exit_code == 0, made.stderr
    assert ran == [f"{pair}/{seed}" for seed in (0, 1) for pair in pairs]
    lines = [line.split() for line in made.stdout.splitlines()]
    assert lines[1:5] == [
        ["learner", "seeds", "mask2former_tiny", "vistr_tiny"],
        ["finetune", "2", "80.50", "±", "0.71", "80.50", "±", "0.71"],
        ["crisp", "2", "50.50", "±", "0.71", "[1]"],
        ["Picky", "2", "50.50", "±", "0.71", "[2]"],
    ]
    assert "[1] not defined: the model offers no query_groups." in made.stdout
    assert "[2] not defined: set segmenter.background=true." in made.stdout
    assert call(*words).stdout == made.stdout
    assert len(ran) == 8  # nothing is made again

    more = call(*words[:4], "--seeds", "0,2", "--runs", tmp_path / "more", "--runs", tmp_path / "runs")
    assert more.exit_code == 0, more.stderr
    assert ran[8:] == [f"{pair}/2" for pair in pairs]  # the others lie in the second folder
    assert "81.00 ± 1.00" in more.stdout


def test_to_show_runs_nothing(ran, tmp_path):
    write_run(tmp_path, "mine", mAP=3.0)  # what a run is called is no learner
    write_run(tmp_path, "finetune", mAP=4.0)
    words = ("--show", "--runs", tmp_path, "--learners", "finetune,mine,eclipse", "--segmenters", MODELS)
    result = call(*words, "--plot", tmp_path / "map.svg", "--json")
    assert result.exit_code == 0, result.stderr
    (matrix,) = json.loads(result.stdout)["matrices"]
    states = {row["learner"]: [row["cells"][name]["state"] for name in MODELS.split(",")] for row in matrix["rows"]}
    assert states == {"finetune": ["done", "open"], "mine": ["done", "open"], "eclipse": ["open", "undefined"]}
    assert "mine" in (tmp_path / "map.svg").read_text()
    assert ran == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--learners", "finetun"], "learner: 'finetun' does not exist; did you mean 'finetune'?"),
        (["--learners", "finetune,"], "--learners finetune,: names nothing; write a,b"),
        (["--segmenters", "a,a"], "--segmenters a,a: names 'a' twice; write a,b"),
        (["--metric", "mAPs"], "--metric mAPs: no such metric; did you mean 'mAP"),
        (["--plot", "map.gif"], "--plot map.gif: '.gif': not a format; end the name in .svg, .pdf or .png"),
        (["--show", "--runs", "none"], "none: does not exist"),
        (["--set", "runtime.runs=x"], "runtime.runs: 'x': the runs of a table lie together; use --runs"),
        (["--set", "learner.nix=1"], "--set learner.nix=1: no such key of any learner"),
        (["--learners", "crisp", "--segmenters", "vistr_tiny"], "the first: the model offers no query_groups"),
    ],
)
def test_mistakes_are_one_line_and_start_nothing(ran, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    result = call(*words)
    assert (result.exit_code, ran) == (2, [])
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr


def test_names_behind_a_comma_are_completed():
    complete = names.listed(lambda: ["crisp", "joint"])
    assert complete("crisp,j") == ["crisp,crisp", "crisp,joint"]
    assert complete("c") == ["crisp", "joint"]


def test_two_real_cells_are_the_rows_of_two_tables(stream, tmp_path):
    short = (*SMALL, "schedule.base.iterations=2", "schedule.incremental.iterations=1")
    settings = [word for setting in short for word in ("--set", setting)]
    files = [tmp_path / f"{name}_tiny.py" for name in ("one", "two")]
    for file in files:
        file.write_text(f"segmenter = {SMALL_MODEL}\n")
    asked = ["--learners", "finetune", "--segmenters", ",".join(map(str, files)), "--runs", str(tmp_path)]
    result = CliRunner().invoke(app, ["matrix", str(stream), *asked, *settings, "--json"])
    assert result.exit_code == 0, result.stderr
    (matrix,) = json.loads(result.stdout)["matrices"]
    table = json.loads(CliRunner().invoke(app, ["compare", str(tmp_path), "--metric", "mAP", "--json"]).stdout)
    compared = {group["segmenter"]: group["blocks"][0]["rows"][0]["metrics"]["mAP"] for group in table["groups"]}
    (row,) = matrix["rows"]
    assert {name: {key: cell[key] for key in ("mean", "std", "n")} for name, cell in row["cells"].items()} == compared
    assert list(compared) == matrix["segmenters"]
