"""Packages of others, really installed: what ``new`` writes, the tutorial command by command, and the example."""

from __future__ import annotations

import importlib
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_readme import SMALL
from typer.testing import CliRunner

from cvis.cli import app
from cvis.learners import LEARNERS
from cvis.segmenters import SEGMENTERS

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "cvis-ewc"
PAGE = (ROOT / "docs" / "write_a_learner.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def cvis(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def run(stream, *words: object) -> None:
    """`cvis run`, but on the tiny stream and for two iterations a step."""
    small = [setting for setting in SMALL if "--segmenter" not in words or not setting.startswith("segmenter.")]
    cvis("run", stream, *words, "--device", "cpu", *(word for setting in small for word in ("--set", setting)))


def run_tests(file: Path, folder: Path) -> None:
    """As pytest would, for tests that want nothing but a folder."""
    tests = [test for name, test in runpy.run_path(str(file)).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test(*[folder] * test.__code__.co_argcount)


def forget() -> None:
    """What was found of installed packages, so that it is looked for anew."""
    importlib.invalidate_caches()
    sys.modules.pop("spring", None)
    for kinds in (LEARNERS, SEGMENTERS):
        kinds.offers._found = None


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A learner and a segmenter as `new` writes them, and the example, installed with pip into a folder of Python's
    path, without a network. The current folder is where the first two were written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        folder = tmp_path_factory.mktemp("site")
        assert cvis(*shlex.split(COMMANDS[0])[1:]).splitlines() == [
            *("spring", "pip install -e spring", "pytest spring", "cvis run synthetic-20-4 --learner spring")
        ]
        cvis("segmenters", "new", "sieve", "--out", "models/sieve")
        shutil.copytree(EXAMPLE, "ewc")  # so that building it leaves nothing in the repository
        offline = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
        pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder)]
        done = subprocess.run([*pip, "./spring", "models/sieve", "./ewc"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert {path.name for path in folder.glob("*.py")} == {"spring.py", "sieve.py", "cvis_ewc.py"}
        patch.syspath_prepend(folder)
        forget()
        yield folder
    forget()


@pytest.mark.parametrize("name", ["spring", "models/sieve"])
def test_what_is_written_passes_its_test_at_once(site, name, tmp_path):
    run_tests(Path(name) / f"test_{Path(name).name}.py", tmp_path)


def test_what_is_installed_is_listed_with_its_package(site):
    learners = {info["name"]: info for info in json.loads(cvis("learners", "--json"))}
    ewc, spring = learners["ewc"], learners["spring"]
    assert (ewc["package"], ewc["version"], ewc["parameters"]) == ("cvis-ewc", "1.0.0", {"weight": "100.0"})
    assert ewc["doc"].startswith("Elastic weight consolidation")
    assert (spring["package"], spring["version"], spring["error"]) == ("spring", "0.1.0", None)
    assert ["ewc", "cvis-ewc", "1.0.0"] in [line.split()[:3] for line in cvis("learners").splitlines()]
    sieve = {info["name"]: info for info in json.loads(cvis("segmenters", "--json"))}["sieve"]
    assert (sieve["package"], sieve["parameters"], sieve["error"]) == ("sieve", {"dim": 16}, None)
    for name in ("sieve", "models/sieve/sieve.py:Sieve"):
        assert "Offers to learners: nothing beside the core." in cvis("segmenters", name)
    said = CliRunner().invoke(app, ["learners", "new", "ewc"]).stderr
    assert said == "cvis: learner: 'ewc': exists already, in package cvis-ewc; choose another name\n"


def test_the_tutorial_ends_in_the_row_that_it_promises(site, stream):
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)  # all in one file, one behind the other
    for folder in (Path("spring"), site):  # installed with -e they are one
        (folder / "spring.py").write_text("".join(code))
    forget()
    said = {}
    for command in COMMANDS[3:]:
        program, *words = shlex.split(command)
        assert program == "cvis"
        if words[0] == "run":
            assert words[1] == "synthetic-20-4"
            run(stream, *words[2:])
        else:
            said[words[0]] = cvis(*words)
    assert "Every weight is pulled back" in said["learners"]
    rows = [line.split()[0] for line in said["compare"].splitlines() if line]
    assert {"finetune", "spring", "spring-weak", "SpringReplay", "Prototypes"} <= set(rows)
    assert COMMANDS[:3] == ["cvis learners new spring", "pip install -e spring", "pytest spring"]  # as done before


def test_the_example_is_right_and_becomes_a_row_on_any_model(site, stream, tmp_path):
    assert len((EXAMPLE / "cvis_ewc.py").read_text().splitlines()) <= 40
    run_tests(EXAMPLE / "test_ewc.py", tmp_path)
    run(stream, "--learner", "ewc", "--runs", tmp_path)
    run(stream, "--learner", "ewc", "--runs", tmp_path, "--segmenter", "sieve", "--schedule", "tiny")
    groups = json.loads(cvis("compare", tmp_path, "--json"))["groups"]
    rows = [(g["segmenter"], row["learner"]) for g in groups for block in g["blocks"] for row in block["rows"]]
    assert sorted(rows) == [("mask2former_tiny", "ewc"), ("sieve", "ewc")]
