"""Data sets are found: one file each, and those of installed packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

import cvis.data.datasets as datasets
from cvis.data.dataset import Dataset, Layout
from cvis.errors import UserError

MINE = Dataset("Mine", "https://mine.org", {"train": Layout(("mine.json",), ("frames",))})


@pytest.fixture
def install(monkeypatch):
    """Let an installed package offer ``name = value``."""
    monkeypatch.setattr(datasets, "DATASETS", dict(datasets.DATASETS))
    monkeypatch.setattr(datasets, "BROKEN", {})

    def offer(**values: str) -> None:
        points = [EntryPoint(name, value, datasets.ENTRY_POINTS) for name, value in values.items()]
        monkeypatch.setattr(datasets, "entry_points", lambda group: [p for p in points if p.group == group])
        datasets.load_plugins.cache_clear()

    yield offer
    datasets.load_plugins.cache_clear()


def test_a_package_brings_a_data_set(install, tmp_path):
    install(mine=f"{__name__}:MINE")
    assert datasets.known("mine") is MINE
    (tmp_path / "mine.json").touch()
    (tmp_path / "frames").mkdir()
    assert datasets.locate("mine", tmp_path).train_annotations == tmp_path / "mine.json"


@pytest.mark.parametrize(
    ("value", "reason"), [("no_such_module:X", "No module named"), ("json:loads", "is not a cvis.data.dataset.Dataset")]
)
def test_a_broken_package_takes_nothing_down(install, value, reason):
    install(odd=value, mine=f"{__name__}:MINE")
    assert datasets.known("mine") is MINE
    with pytest.raises(UserError, match=rf"'odd': does not load: .*{reason}"):
        datasets.known("odd")


def test_a_package_does_not_take_a_shipped_name(install):
    shipped = datasets.known("ovis")
    install(ovis=f"{__name__}:MINE")
    datasets.load_plugins()
    assert datasets.known("ovis") is shipped
    assert "of this name already" in datasets.BROKEN["ovis"]


def test_an_unknown_name_is_met_with_the_nearest_one_or_all():
    with pytest.raises(UserError, match="did you mean 'ytvis2019'"):
        datasets.known("ytvis-2019")
    with pytest.raises(UserError, match=f"choose one of {', '.join(datasets.DATASETS)}"):
        datasets.known("coco")


def test_the_doctor_names_a_broken_package(install, monkeypatch):
    from cvis.cli import doctor

    install(odd="no_such_module:X")
    places = doctor._data()
    assert "No module named" in places["odd"]["error"]
    assert "ovis" in places
    assert not {"custom", "synthetic"} & set(places)  # nobody has to fetch them
