"""The pages of docs/: their commands run, their examples are right, and docstrings have what is made into pages."""

from __future__ import annotations

import doctest
import inspect
import re
import shlex
import sys
from pathlib import Path

import pytest
from test_readme import SMALL
from typer.testing import CliRunner

DOCS = Path(__file__).resolve().parents[1] / "docs"
sys.path.insert(0, str(DOCS))

import docstrings  # noqa: E402
import figures  # noqa: E402
import from_code  # noqa: E402

STREAM = "synthetic-20-4"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("page", ["first_table.md", "write_a_segmenter.md"])
def test_the_commands_of_a_page_run_one_after_the_other(page, stream, tmp_path, monkeypatch):
    """On the tiny stream, for two iterations a step."""
    from cvis.cli import app

    monkeypatch.chdir(tmp_path)
    small = {"run": [*SMALL, "runtime.device=cpu"]}
    for command in "".join(blocks(page, "sh")).splitlines():
        program, *words = shlex.split(command)
        assert program == "cvis"
        own_model = any("sieve" in word for word in words)
        settings = [s for s in small.get(words[0], []) if not (own_model and s.startswith("segmenter."))]
        words = [str(stream) if word == STREAM else word for word in words]
        result = CliRunner().invoke(app, [*words, *(w for s in settings for w in ("--set", s))], catch_exceptions=False)
        assert result.exit_code == 0, f"{command}\n{result.output}"


def test_the_examples_of_the_pages_and_of_their_makers_are_right():
    examples = "\n".join(
        "".join(blocks(page.name, "python")) for page in DOCS.glob("*.md") if ">>>" in page.read_text()
    )
    assert "AR10" in examples
    test = doctest.DocTestParser().get_doctest(examples, {}, "pages", None, None)
    assert doctest.DocTestRunner().run(test).failed == 0
    for module in (docstrings, figures, from_code):
        assert doctest.testmod(module).failed == 0


def test_every_learner_says_what_its_page_needs():
    """The paper, each setting, the functions with the equations (they exist), and where a published one differs."""
    from cvis.learners import LEARNERS, find_learner
    from cvis.learners.settings import parameters_of

    for name in from_code._ours(LEARNERS):
        kind = find_learner(name)
        parameters = parameters_of(kind)
        silent = [key for key, text in zip(parameters, from_code.explained(kind, parameters), strict=True) if not text]
        assert not silent, f"{name}: Args: explains no {silent}"
        published = re.search(r"\(.*(CVPR|ECCV|arXiv)", sys.modules[kind.__module__].__doc__)
        assert not published or "Deviations" in docstrings.sections(inspect.getdoc(kind)), f"{name}: has no Deviations:"
    page = from_code.learners()
    assert page.count("\n## ") == len(from_code._ours(LEARNERS)) - 1
    assert "log p'(no-object)" in page  # an equation of a function that a docstring names
    assert ":func:" not in page
    assert ":class:" not in page


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("See :class:`~a.b.C` and ``x_y``.", "See `C` and `x_y`."),
        ("a * b < c_d, _e", r"a \* b \< c_d, \_e"),
        ("It is\n\n    F = |C_t|\n\n    G\n\nso.", "It is\n\n```text\nF = |C_t|\n\nG\n```\n\nso."),
        (">>> 1 + 1\n2", "```python\n>>> 1 + 1\n2\n```"),
    ],
)
def test_docstrings_become_markdown(doc, expected):
    assert docstrings.markdown(doc) == expected


def test_a_page_takes_only_what_there_is():
    known = {*from_code.PAGES, "base_map"}
    for page in DOCS.glob("*.md"):
        assert set(re.findall(r"<!-- from the code: (\w+) -->", page.read_text(encoding="utf-8"))) <= known
    curves = re.findall(r'points="(.*?)"', figures.base_map())
    assert len(curves) == len(figures.table("Mean mAP base")) > 3
    assert {len(points.split()) for points in curves} == {6}  # steps of synthetic-20-4
