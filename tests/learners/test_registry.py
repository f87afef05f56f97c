"""Learners are found by name, from a file, and from installed packages; a broken one takes nothing down."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from cvis.errors import UserError
from cvis.learners import FineTune, Joint, Learner, registry
from cvis.learners.registry import available, build_learner, find_learner, parameters_of


@dataclass
class Point:
    """Stands for an entry point of an installed package."""

    name: str
    what: object
    dist: SimpleNamespace

    def load(self):
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


class Mine(FineTune):
    """My method. And more about it."""

    def __init__(self, segmenter, weight: float = 2.5, *, deep: bool = False):
        super().__init__(segmenter)
        self.weight = weight


@pytest.fixture
def plugins(monkeypatch):
    package = SimpleNamespace(name="my-learner", version="3.1")
    points = [
        Point("mine", Mine, package),
        Point("broken", ImportError("No module named 'left_pad'"), package),
        Point("not_a_learner", dict, package),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "cvis.learners" else [])
    monkeypatch.setattr(registry, "_origin", {})
    monkeypatch.setattr(registry, "_broken", {})
    yield
    registry.LEARNERS.module_dict.pop("mine", None)


def test_our_own_are_found_by_name():
    assert find_learner("finetune") is FineTune
    assert find_learner("joint") is Joint


def test_plugins_are_listed_with_package_parameters_and_reason(plugins):
    found = {info.name: info for info in available()}
    mine = found["mine"]
    assert (mine.package, mine.version, mine.doc) == ("my-learner", "3.1", "My method. And more about it.")
    assert mine.parameters == {"weight": "2.5", "deep": "False"}
    assert "left_pad" in found["broken"].error
    assert "not a subclass" in found["not_a_learner"].error
    assert found["finetune"].package == "cvis"
    assert found["finetune"].error is None


def test_a_broken_plugin_says_why_when_it_is_asked_for(plugins):
    with pytest.raises(UserError, match="'broken' of package my-learner does not load: ImportError: No module"):
        find_learner("broken")


def test_a_plugin_that_takes_a_name_of_ours_is_refused_and_named(plugins, monkeypatch):
    package = SimpleNamespace(name="rude", version="1")
    monkeypatch.setattr(registry, "entry_points", lambda group: [Point("finetune", Mine, package)])
    assert any(info.name == "finetune" and info.error and info.package == "rude" for info in available())
    assert find_learner("finetune") is FineTune


def test_a_learner_without_a_loss_is_refused():
    class Lossless(Learner):
        pass

    with pytest.raises(UserError, match="here: defines no loss"):
        registry._check_learner(Lossless, "here")


@pytest.mark.parametrize("name", ["", " ", "no/such.py:Thing"])
def test_odd_names_are_one_line(name):
    with pytest.raises(UserError) as caught:
        find_learner(name)
    assert "\n" not in str(caught.value)


def test_a_class_in_a_file(tmp_path):
    file = tmp_path / "my_method.py"
    file.write_text("from cvis.learners import FineTune\nclass Better(FineTune):\n    '''Better.'''\nnumber = 3\n")
    assert find_learner(f"{file}:Better").__name__ == "Better"
    with pytest.raises(UserError, match="has no class 'Worse'"):
        find_learner(f"{file}:Worse")
    with pytest.raises(UserError, match="not a subclass"):
        find_learner(f"{file}:number")


def test_a_file_that_does_not_import_says_why(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import not_there\n")
    with pytest.raises(UserError, match="does not import: ModuleNotFoundError: No module named 'not_there'"):
        find_learner(f"{file}:Mine")


def test_a_pair_that_cannot_work_is_refused_with_the_missing_capability():
    class Needy(FineTune):
        requires = frozenset({"query_groups", "telepathy"})

    registry.LEARNERS.register_module(name="needy", module=Needy)
    try:
        with pytest.raises(UserError, match="needs telepathy of the segmenter"):
            build_learner({"type": "needy"}, SimpleNamespace(capabilities=frozenset({"query_groups"})))
    finally:
        registry.LEARNERS.module_dict.pop("needy")


def test_parameters_are_those_of_the_constructor_without_the_segmenter():
    assert list(parameters_of(Mine)) == ["weight", "deep"]
    assert not parameters_of(FineTune)
