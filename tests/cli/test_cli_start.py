"""``cvis --help`` answers at once, and every command explains itself."""

from __future__ import annotations

import re
import resource
import shlex
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from cvis import __version__
from cvis.cli import app

HEAVY = ("torch", "numpy", "mmengine", "mmcv", "mmdet", "pydantic", "cv2", "rich", "scipy", "PIL")


def commands(command, path=()):
    """Every command of the tree with its words: ("scenario", "show")."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


def examples(command):
    return [line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith("cvis ")]


@pytest.mark.parametrize(
    "code",
    [
        "import cvis.cli",
        "import sys, cvis.cli; sys.argv = ['cvis', '--help']\ntry: cvis.cli.main()\nexcept SystemExit: pass",
    ],
    ids=["import", "help"],
)
def test_nothing_heavy_is_imported(code):
    code += f"\nimport sys; print('LOADED', *[name for name in {HEAVY} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.splitlines()[-1].split() == ["LOADED"]


def test_a_command_does_not_wait_for_the_imports_of_the_others():
    code = "import sys, cvis.cli; sys.argv = ['cvis', 'score', '--help']\ntry: cvis.cli.main()\nexcept SystemExit: pass"
    code += "\nprint('LOADED', *(name for name in sys.modules if name.startswith('cvis.cli.')))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    loaded = set(printed.splitlines()[-1].split())
    assert "cvis.cli.score" in loaded
    assert not loaded & {f"cvis.cli.{name}" for name in ("run", "compare", "data", "learners", "report", "sweep")}


def test_help_takes_less_than_half_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", "import cvis.cli; cvis.cli.main()", "--help"], check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # not wall: the machine may be loaded
    assert busy < 0.5


def test_the_commands_are_these():
    groups = {("scenario",), ("data",), ("learners",), ("segmenters",)}
    words = {" ".join(path) for path in COMMANDS if path and path not in groups}
    assert words == {
        "bundle",
        "export",
        "plot",
        "predict",
        "predict-test",
        "report",
        "reproducibility",
        "run",
        "score",
        "steps",
        "verify",
        "visualize",
        "compare",
        "sweep",
        "matrix",
        "explain",
        "scenario show",
        "scenario make",
        "scenario list",
        "data list",
        "data check",
        "data split",
        "data synth",
        "data frames",
        "data import",
        "data pseudo-videos",
        "data merge",
        "data stats",
        "data subset",
        "learners list",
        "learners new",
        "segmenters list",
        "segmenters new",
        "check-learner",
        "check-segmenter",
        "doctor",
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_works_and_has_an_example_that_fits(path):
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    shown = examples(COMMANDS[path])
    assert shown
    assert all(line in result.stdout for line in shown)
    assert "Examples:" in result.stdout
    if hasattr(COMMANDS[path], "commands"):
        assert not re.search(r"\w\.\.\.$", result.stdout, re.MULTILINE), "a command's line is cut off"


@pytest.mark.parametrize("path", [p for p in COMMANDS if p], ids=" ".join)
def test_every_option_of_an_example_exists(path):
    for line in examples(COMMANDS[path]):
        words = shlex.split(line)[1:]
        named = max((p for p in COMMANDS if tuple(words[: len(p)]) == p), key=len)
        if named in (("learners",), ("segmenters",)):
            named = (*named, "list")  # need not be said
        known = {option for parameter in COMMANDS[named].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known
        assert named[: len(path)] == path


@pytest.mark.parametrize(
    "path",
    [
        *(
            "compare",
            "sweep",
            "matrix",
            "score",
            "doctor",
            "scenario show",
            "scenario list",
            "data check",
            "data list",
            "data stats",
        ),
        *("learners list", "segmenters list"),
    ],
)
def test_whatever_reads_has_json(path):
    known = {option for parameter in COMMANDS[tuple(path.split())].params for option in parameter.opts}
    assert "--json" in known


def test_version_and_completion():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"cvis {__version__}\n")
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert re.search(r"--install-completion\b", shown)
