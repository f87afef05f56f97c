"""Data sets are found: one file each, and those of installed packages."""

from __future__ import annotations

import pytest
from installed import Point, install

import cvis.data.datasets as datasets
from cvis.data.dataset import Dataset, Layout
from cvis.errors import UserError

MINE = Dataset("Mine", "https://mine.org", {"train": Layout(("mine.json",), ("frames",))})


def offer(monkeypatch, **values) -> None:
    install(monkeypatch, {datasets.OFFERED: [Point(name, value) for name, value in values.items()]})


def test_a_package_brings_a_data_set(monkeypatch, tmp_path):
    offer(monkeypatch, mine=f"{__name__}:MINE")
    assert datasets.known("mine") is MINE
    (tmp_path / "mine.json").touch()
    (tmp_path / "frames").mkdir()
    assert datasets.locate("mine", tmp_path).train_annotations == tmp_path / "mine.json"


@pytest.mark.parametrize(
    ("value", "reason"), [("no_such_module:X", "No module named"), ("json:loads", "is not a cvis.data.dataset.Dataset")]
)
def test_a_broken_package_takes_nothing_down(monkeypatch, value, reason):
    offer(monkeypatch, odd=value, mine=f"{__name__}:MINE")
    assert datasets.known("mine") is MINE
    with pytest.raises(UserError, match=rf"'odd': does not load: .*{reason}.*\(package my-package\)"):
        datasets.known("odd")


def test_a_package_does_not_take_a_shipped_name(monkeypatch):
    shipped = datasets.known("ovis")
    offer(monkeypatch, ovis=f"{__name__}:MINE")
    assert datasets.known("ovis") is shipped
    assert "the name is taken" in datasets.OFFERED.reason("ovis")


def test_an_unknown_name_is_met_with_the_nearest_one_or_all():
    with pytest.raises(UserError, match="did you mean 'ytvis2019'"):
        datasets.known("ytvis-2019")
    with pytest.raises(UserError, match=f"choose one of {', '.join(datasets.DATASETS)}"):
        datasets.known("coco")


def test_the_doctor_names_a_broken_package(monkeypatch):
    from cvis.cli import doctor

    offer(monkeypatch, odd="no_such_module:X")
    places = doctor._data()
    assert "No module named" in places["odd"]["error"]
    assert "ovis" in places
    assert not {"custom", "synthetic"} & set(places)  # nobody has to fetch them
