"""``new`` where it cannot be done: one line, and nothing is left behind. For what it writes: tests/test_tutorial.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.cli.new import write_package
from cvis.errors import UserError
from cvis.learners import LEARNERS


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        *(("learners", name, "is no name; begin with a lower-case letter") for name in ("My-Method", "2fast", "ä", "")),
        *(("learners", name, "is a reserved word") for name in ("lambda", "none", "new", "list", "learner")),
        *(("segmenters", name, "is a reserved word") for name in ("tensor", "segmenter")),
        ("learners", "crisp", "exists already, in package cvis"),
        ("segmenters", "mask2former_tiny", "exists already, in package cvis"),
        ("learners", "torch", "is a module that Python finds already"),
    ],
)
def test_a_name_that_cannot_be_had(kind, name, says, tmp_path):
    result = CliRunner().invoke(app, [kind, "new", name])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert f"{name!r}: {says}" in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_names_are_replaced_everywhere():
    folder = write_package(LEARNERS, "dark_matter", Path("deep/dark"))
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(texts) == {"pyproject.toml", "README.md", "dark_matter.py", "test_dark_matter.py"}
    assert not any(
        old in text for text in texts.values() for old in ("my_method", "my-method", "MyMethod", "My method")
    )
    assert 'name = "dark-matter"' in texts["pyproject.toml"]
    assert 'dark_matter = "dark_matter:DarkMatter"' in texts["pyproject.toml"]
    assert "class DarkMatter(Learner):" in texts["dark_matter.py"]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"^mine: exists already; remove it, or give another folder with --out$"):
        write_package(LEARNERS, "mine")
    assert not list((tmp_path / "mine").iterdir())


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    def full(self, *arguments, **more):
        if self.name == "pyproject.toml":
            raise OSError(28, "No space left on device")
        return len(arguments)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=r"^mine: cannot be made: No space left on device"):
        write_package(LEARNERS, "mine")
    assert not list(tmp_path.iterdir())
