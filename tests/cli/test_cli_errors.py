"""A user's mistake is one line on stderr and exit code 2; a bug is a traceback."""

from __future__ import annotations

import errno

import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.errors import UserError


@pytest.fixture
def failing(monkeypatch):
    """Make the core of ``cvis compare`` raise something."""

    def prepare(error):
        def load_runs(paths):
            raise error

        monkeypatch.setattr("cvis.report.load_runs", load_runs)
        return CliRunner().invoke(app, ["compare", "runs"])

    return prepare


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("a.json: ids: 3: twice; remove one"), 2, "cvis: a.json: ids: 3: twice; remove one"),
        (UserError("a.json: first\nsecond"), 2, "cvis: a.json: first second"),
        (KeyboardInterrupt(), 130, "cvis: interrupted"),
        (
            OSError(errno.ENOSPC, "No space left on device", "x.pth"),
            2,
            "cvis: x.pth: the disk is full; free space and run the same command",
        ),
    ],
    ids=["mistake", "two lines", "interrupt", "disk"],
)
def test_what_a_user_can_cause_is_one_line(failing, error, code, line):
    result = failing(error)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", line + "\n")


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(errno.EIO, "I/O error")], ids=["bug", "io"])
def test_a_bug_keeps_its_traceback(failing, error):
    result = failing(error)
    assert result.exception is error
    assert result.exit_code == 1


def test_an_interrupted_run_says_how_to_go_on(monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("cvis.engine.resolve.resolve", stop)
    result = CliRunner().invoke(app, ["run", "synthetic-20-4", "--learner", "finetune"])
    assert (result.exit_code, result.stderr) == (130, "cvis: interrupted; the same command resumes\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["runn"],
        ["compare"],
        ["score", "--ann", "a.json"],
        ["run", "x", "--learner", "y", "--seed", "one"],
        ["doctor", "--fast"],
    ],
    ids=["command", "argument", "option", "value", "unknown"],
)
def test_wrong_usage_is_short_and_exits_2(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) <= 4
    assert "Error: " in result.stderr
