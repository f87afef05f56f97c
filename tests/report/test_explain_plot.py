"""The plots: their files, their words, and that nothing half-made is left."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

from cvis.evaluation.error_kinds import KINDS
from cvis.evaluation.explain import Explanation, Losses
from cvis.evaluation.forgotten import Fate
from cvis.report.explain_plot import FATES, TITLES, plot_losses, plot_run
from cvis.report.explain_run import RunExplanation

NAMES = {c: f"class & <{c}>" for c in range(1, 41)}


def losses_of(classes, ap=40.0):
    def one(c):
        return Losses(ap, 50.0, 3, dict.fromkeys(KINDS, 1), {kind: float(c) for kind in KINDS})

    return Explanation({c: one(c) for c in classes}, one(7))


def run_of(fates, classes=(1, 2, 3)):
    groups = ((1, 2), (3,))
    run = SimpleNamespace(scenario="s", name="crisp [random text encoder]", learned=groups, classes=NAMES)
    return RunExplanation(run, 1, groups, losses_of(classes), fates)


def texts(path):
    return [e.text for e in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_the_svg_holds_its_words_as_text(tmp_path):
    plot_losses(losses_of(NAMES), NAMES, tmp_path / "a.svg")
    words = texts(tmp_path / "a.svg")
    assert {*NAMES.values(), *TITLES.values(), "AP50", "mean of classes"} <= {*words}
    assert words.count("40.0") == len(KINDS)  # the loss of class 40, at every kind's bar


def test_a_run_shows_losses_and_fates(tmp_path):
    fates = {1: Fate(5, 4, 1, {3: 2}, {2: 1}), 2: Fate(5, 0, 0)}
    plot_run(run_of(fates), tmp_path / "a.svg")
    words = texts(tmp_path / "a.svg")
    assert {*FATES.values(), *TITLES.values(), "class & <3> 2, class & <2> 1", "none was found"} <= {*words}
    assert "all old classes  (4 of 10)" in words
    assert "class & <1>  (4 of 5)" in words
    assert words.count("s  crisp [random text encoder]  step 1") == 2  # above both halves


def test_without_fates_a_run_is_its_losses(tmp_path):
    plot_run(run_of({}), tmp_path / "a.svg")
    plot_losses(losses_of((1, 2, 3)), NAMES, tmp_path / "b.svg", "s  crisp [random text encoder]  step 1")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_no_class_with_ground_truth(tmp_path):
    nothing = Losses(None, None, 0, dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS))
    plot_losses(Explanation({1: nothing}, nothing), NAMES, tmp_path / "a.svg")
    assert NAMES[1] not in texts(tmp_path / "a.svg")


def test_a_failing_plot_leaves_nothing_and_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.svg"
    path.write_text("old")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *args, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plot_losses(losses_of((1,)), NAMES, path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]
    assert path.read_text() == "old"


def test_matplotlib_is_loaded_only_to_draw():
    code = "import sys, cvis.report.explain_plot; sys.exit(any(m in sys.modules for m in ('matplotlib', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
