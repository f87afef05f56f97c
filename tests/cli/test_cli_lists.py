"""``cvis learners``, ``cvis segmenters`` and ``cvis doctor``."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cvis import __version__
from cvis.cli import app, doctor, segmenters
from cvis.learners.registry import LearnerInfo
from cvis.segmenters import Segmenter


def call(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_learners_lists_our_own():
    content = {info["name"]: info for info in json.loads(call("learners", "--json").stdout)}
    assert content["finetune"]["package"] == "cvis"
    assert content["joint"]["version"] == __version__
    assert content["finetune"]["error"] is None
    assert "joint" in call("learners").stdout


def test_learners_says_why_a_plugin_is_broken(monkeypatch):
    found = [
        LearnerInfo("good", "pkg", "1.2", "One line.", {"weight": "10.0", "mode": "'a'"}, ("query_groups",)),
        LearnerInfo("bad", "other", "0.1", error="ImportError: no module named x"),
    ]
    monkeypatch.setattr("cvis.learners.available", lambda: found)
    _, good, bad, *_ = call("learners").stdout.splitlines()
    assert good.split() == ["good", "pkg", "1.2", "One", "line."]
    assert "broken: ImportError: no module named x" in bad


PLUGIN = """
from cvis.learners.finetune import FineTune
from cvis.segmenters.contract import QueryGroups
class Mine(FineTune):
    '''What it is.

    Args:
        weight: what it does.
    '''
    requires = (QueryGroups,)
    def __init__(self, segmenter, weight: float = 10.0, mode="a"):
        super().__init__(segmenter)
"""


def test_learners_of_a_name_says_what_it_is_what_it_needs_and_what_can_be_set(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    said = call("learners", f"{file}:Mine").stdout
    assert "What it is." in said
    assert "weight: what it does." in said
    assert "Needs of the segmenter: query_groups." in said
    lines = [line.split() for line in said.splitlines()]
    assert ["learner.weight", "10.0"] in lines
    assert ["learner.mode", "'a'"] in lines
    content = json.loads(call("learners", f"{file}:Mine", "--json").stdout)
    assert content["parameters"] == {"weight": "10.0", "mode": "'a'"}
    assert content["requires"] == ["query_groups"]
    assert "Needs of the segmenter: nothing." in call("learners", "finetune").stdout


def test_learners_of_an_unknown_name_is_one_line():
    result = call("learners", "nope")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "'nope' does not exist" in result.stderr


def test_segmenters_lists_every_shipped_file_with_its_values():
    content = {info["name"]: info for info in json.loads(call("segmenters", "--json").stdout)}
    tiny = content["mask2former_tiny"]
    assert [name for name, info in content.items() if info["error"]] == []
    assert (tiny["type"], tiny["parameters"]["num_queries"]) == ("mask2former", 10)
    assert "query_groups" in tiny["capabilities"]
    assert "mask2former_tiny" in call("segmenters").stdout


def test_a_broken_segmenter_file_says_why(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("segmenter = dict(type='nothing')\n")
    assert "segmenter: 'nothing' does not exist; choose one of " in segmenters._described("mine", path)["error"]


def test_segmenters_of_installed_packages_are_listed_and_found(monkeypatch):
    """As learners are: a type by its entry point, built with its defaults, and a broken one with its reason."""
    import dense_toy

    from cvis import plugins
    from cvis.engine.resolve import resolve
    from cvis.segmenters import SEGMENTERS

    def broken():
        raise ImportError("No module named 'left_pad'")

    package = SimpleNamespace(name="my-models", version="2.0")
    points = [
        SimpleNamespace(name="theirs", load=lambda: dense_toy.DenseToy, dist=package),
        SimpleNamespace(name="gone", load=broken, dist=package),
        SimpleNamespace(name="abstract", load=lambda: Segmenter, dist=package),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == "cvis.segmenters" else [])
    monkeypatch.setattr(SEGMENTERS, "_plugins", {})
    try:
        content = {info["name"]: info for info in json.loads(call("segmenters", "--json").stdout)}
        theirs = content["theirs"]
        assert (theirs["package"], theirs["version"], theirs["error"]) == ("my-models", "2.0", None)
        assert (theirs["capabilities"], theirs["parameters"]) == (["clip_tracks"], {"width": 16})
        assert "left_pad" in content["gone"]["error"]
        assert "defines no grow, losses, predict" in content["abstract"]["error"]
        assert resolve("synthetic-20-4", "finetune", segmenter="theirs").segmenter == {"type": "theirs"}
    finally:
        SEGMENTERS.registry.module_dict.pop("theirs", None)


def test_the_doctor_reports():
    result = call("doctor", "--json")
    content = json.loads(result.stdout)
    assert set(content["versions"]) == {"cvis", "python", *doctor.REQUIRED}
    assert content["versions"]["cvis"] == __version__
    assert content["device"]["cpus"] >= 1
    assert content["mmcv_ops"]["compiled"] in (True, False)
    assert set(content["clip"]) == {"cached"}  # the server is asked only with --online
    assert set(content["data"]) >= {"ytvis2019", "ytvis2021", "ovis"}
    assert result.exit_code == (1 if content["missing"] else 0)
    text = call("doctor").stdout
    assert content["versions"]["torch"] in text
    assert "free disk" in text


def test_the_doctor_names_what_is_missing_and_exits_1(monkeypatch):
    monkeypatch.setitem(doctor.REQUIRED, "cloud", "cvis-no-such-package")
    result = call("doctor")
    assert result.exit_code == 1
    assert "missing: cloud: is not installed; run: pip install cvis-no-such-package" in result.stdout


def test_the_doctor_says_why_a_package_does_not_import(monkeypatch, tmp_path):
    (tmp_path / "cvis_broken_module.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(doctor.REQUIRED, "cvis_broken_module", "opencv-python-headless")
    says = doctor._import_error("cvis_broken_module")
    assert "libGL.so.1" in says
    assert "--force-reinstall --no-deps opencv-python-headless" in says


def test_the_doctor_finds_data_sets_and_a_full_disk(monkeypatch, tmp_path):
    part = tmp_path / "ovis"
    (part / "train").mkdir(parents=True)
    (part / "annotations_train.json").write_text("{}")
    monkeypatch.setenv("CVIS_DATA", str(tmp_path))
    monkeypatch.setattr(doctor, "NEEDED_GB", 1e9)
    content = doctor.examine()
    assert content["data"]["ovis"] == str(part / "annotations_train.json")
    assert content["data"]["ytvis2019"] is None
    assert "free space" in content["missing"][-1]


@pytest.mark.parametrize(("answer", "says"), [(True, "answers"), ("refused", "refused")])
def test_online_asks_the_server_and_downloads_nothing(monkeypatch, answer, says):
    asked = []
    monkeypatch.setattr(doctor, "_reachable", lambda url: asked.append(url) or answer)
    assert f"server: {says}" in doctor._clip_text(doctor._clip(online=True))
    assert asked == [doctor.CLIP_URL]
