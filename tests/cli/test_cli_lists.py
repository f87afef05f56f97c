"""``cvis learners``, ``cvis segmenters`` and ``cvis doctor``."""

from __future__ import annotations

import json

import pytest
from installed import Point, install
from typer.testing import CliRunner

from cvis import __version__
from cvis.cli import app, doctor, segmenters
from cvis.engine.resolve import resolve
from cvis.errors import UserError
from cvis.files import shipped
from cvis.learners.registry import LearnerInfo
from cvis.segmenters import Segmenter, build_segmenter


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
    assert good.split() == ["good", "pkg", "1.2", "query_groups", "One", "line.", "weight=10.0,", "mode='a'"]
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


def test_learners_with_a_segmenter_have_the_values_that_its_files_bring():
    content = json.loads(call("learners", "crisp", "--segmenter", "mask2former_tiny", "--json").stdout)
    assert content["values"]["num_prompts"] == {"value": 2, "from": "segmenter mask2former_tiny"}
    assert content["values"]["arsp"] == {"value": True, "from": "default"}
    lines = [line.split() for line in call("learners", "crisp", "--segmenter", "mask2former_tiny").stdout.splitlines()]
    assert ["learner.num_prompts", "2", "segmenter", "mask2former_tiny"] in lines
    assert "--segmenter x: without a learner" in call("learners", "--segmenter", "x").stderr


def test_segmenters_fit_a_terminal_of_80_columns():
    table = CliRunner().invoke(app, ["segmenters"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert max(map(len, table[:-2])) <= 80
    assert len(table) < 4 * len(list((shipped("configs") / "segmenters").glob("*.py")))
    assert any("ResNet-101" in line for line in table)


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
    assert {"finetune", "eclipse", "combo"} <= set(tiny["learners"])
    vistr = content["vistr_r50"]
    assert "CVPR 2021" in vistr["doc"]
    assert {"finetune", "comformer", "combo (variant)"} <= set(vistr["learners"])
    assert not {"eclipse", "crisp", "combo"} & set(vistr["learners"])
    assert "Takes the learners: balconpas, combo (variant), comformer," in call("segmenters", "vistr_tiny").stdout
    assert "mask2former_tiny" in call("segmenters").stdout


def test_a_broken_segmenter_file_says_why(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("segmenter = dict(type='nothing')\n")
    assert "segmenter: 'nothing' does not exist; choose one of " in segmenters._described("mine", path)["error"]


def test_segmenters_of_installed_packages_are_listed_and_found(monkeypatch):
    """As learners are: a type by its entry point, built with its defaults, and a broken one with its reason."""
    import dense_toy

    from cvis.segmenters import SEGMENTERS

    points = [
        Point("theirs", dense_toy.DenseToy, "my-models", "2.0"),
        Point("gone", ImportError("No module named 'left_pad'")),
        Point("abstract", Segmenter),
        Point("mask2former_tiny", dense_toy.DenseToy),
    ]
    install(monkeypatch, {SEGMENTERS.offers: points})
    content = {info["name"]: info for info in json.loads(call("segmenters", "--json").stdout)}
    theirs = content["theirs"]
    assert (theirs["package"], theirs["version"], theirs["error"]) == ("my-models", "2.0", None)
    assert (theirs["capabilities"], theirs["parameters"]) == (["clip_tracks"], {"width": 16})
    assert "left_pad" in content["gone"]["error"]
    assert "defines no grow, losses, predict" in content["abstract"]["error"]
    assert "the name is taken" in content["mask2former_tiny"]["error"]  # the last of that name, and ours is used
    assert resolve("synthetic-20-4", "finetune", segmenter="theirs").segmenter == {"type": "theirs"}
    assert resolve("synthetic-20-4", "finetune").segmenter["type"] == "mask2former"


def test_segmenters_of_a_name_says_what_it_is_what_it_offers_and_what_can_be_set():
    said = call("segmenters", "mask2former_tiny").stdout
    assert "Offers to learners: clip_tracks, shared_features" in said
    assert ["segmenter.num_queries", "10"] in [line.split() for line in said.splitlines()]
    assert "Weights: 0.75 million, before it has classes." in said
    content = json.loads(call("segmenters", "--json", "mask2former_tiny").stdout)
    assert (content["type"], content["package"], content["parameters"]["num_queries"]) == ("mask2former", "cvis", 10)
    model = build_segmenter(resolve("synthetic-20-4", "finetune").segmenter)
    assert content["weights"] == sum(parameter.numel() for parameter in model.parameters())
    result = call("segmenters", "mask2former-tiny")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "did you mean 'mask2former_tiny'?" in result.stderr


def test_scenarios_and_data_sets_of_installed_packages_are_listed_and_found(monkeypatch, tmp_path):
    from cvis.data import datasets
    from cvis.data.dataset import Dataset
    from cvis.scenario import spec

    def stream(name, dataset="mine"):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'description = "Theirs"\ndataset = "{dataset}"\nbase = 2\nincrement = 1\n')
        return path

    streams = [
        Point("mine-2-1", stream("mine-2-1")),
        Point("other", stream("mine-3-1")),
        Point("lost", stream("lost", dataset="nowhere")),
        Point("text", "json:loads"),
        Point("ovis-15-5", stream("ovis-15-5")),
    ]
    sets = [Point("mine", Dataset("My set", "https://mine.org", {})), Point("odd", "json:loads")]
    install(monkeypatch, {spec.OFFERED: streams, datasets.OFFERED: sets})
    listed = {(each["name"], each["package"]): each for each in json.loads(call("scenario", "list", "--json").stdout)}
    mine = listed["mine-2-1", "my-package"]
    assert (mine["version"], mine["dataset"], mine["base"], mine["error"]) == ("3.1", "mine", 2, None)
    assert "is the stream 'mine-3-1'; give both the same name" in listed["other", "my-package"]["error"]
    assert "'nowhere': there is no such data set" in listed["lost", "my-package"]["error"]
    assert "is not the pathlib.Path of a .toml file" in listed["text", "my-package"]["error"]
    assert "the name is taken: cvis has one" in listed["ovis-15-5", "my-package"]["error"]
    assert listed["ovis-15-5", "cvis"]["error"] is None
    rows = call("scenario", "list").stdout.splitlines()
    assert any(row.split() == ["mine-2-1", "mine", "holdout", "overlap", "my-package", "3.1", "Theirs"] for row in rows)
    assert spec.find_scenario("mine-2-1") == tmp_path / "mine-2-1.toml"
    with pytest.raises(UserError, match=r"'lost': does not load: .*\(package my-package\); correct or uninstall"):
        spec.find_scenario("lost")

    known = {each["name"]: each for each in json.loads(call("data", "list", "--json").stdout)}
    assert (known["mine"]["package"], known["mine"]["title"]) == ("my-package", "My set")
    assert known["ytvis2019"]["package"] == "cvis"
    assert "is not a cvis.data.dataset.Dataset" in known["odd"]["error"]
    assert "broken: entry point odd" in call("data", "list").stdout


def test_the_doctor_reports():
    result = call("doctor", "--json")
    content = json.loads(result.stdout)
    assert set(content["versions"]) == {"cvis", "python", *doctor.REQUIRED}
    assert content["versions"]["cvis"] == __version__
    assert content["device"]["cpus"] >= 1
    assert content["mmcv_ops"]["compiled"] in (True, False)
    assert set(content["attention"]) == {"deformops", "not_used"}
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
