"""Learners are found by name, from a file, and from installed packages; a broken one takes nothing down."""

import pytest
from installed import Point, install

from cvis.engine.resolve import resolve
from cvis.errors import UserError
from cvis.learners import LEARNERS, Learner, available, build_learner, find_learner, registry
from cvis.learners.finetune import FineTune
from cvis.learners.joint import Joint
from cvis.learners.settings import check_settings, parameters_of
from cvis.segmenters.contract import ClipTracks


class Mine(FineTune):
    """My method. And more about it."""

    def __init__(self, segmenter, weight: float = 2.5, *, deep: bool = False):
        super().__init__(segmenter)
        self.weight = weight


@pytest.fixture
def plugins(monkeypatch):
    points = [
        Point("mine", Mine),
        Point("broken", ImportError("No module named 'left_pad'")),
        Point("quits", SystemExit("of its own accord")),
        Point("not_a_learner", dict),
    ]
    install(monkeypatch, {LEARNERS.offers: points})


def test_our_own_are_found_by_name():
    assert find_learner("finetune") is FineTune
    assert find_learner("joint") is Joint


def test_plugins_are_listed_with_package_parameters_and_reason(plugins):
    found = {info.name: info for info in available()}
    mine = found["mine"]
    assert (mine.package, mine.version, mine.doc) == ("my-package", "3.1", "My method. And more about it.")
    assert mine.parameters == {"weight": "2.5", "deep": "False"}
    assert "left_pad" in found["broken"].error
    assert "of its own accord" in found["quits"].error
    assert "not a subclass" in found["not_a_learner"].error
    assert found["finetune"].package == "cvis"
    assert found["finetune"].error is None


def test_a_broken_plugin_says_why_when_it_is_asked_for(plugins):
    with pytest.raises(UserError, match=r"'broken': does not load: ImportError: No module .*\(package my-package\)"):
        find_learner("broken")


def test_a_name_of_ours_stays_ours_and_of_two_packages_the_first_has_it(monkeypatch):
    points = [Point("finetune", Mine, "rude"), Point("new", Mine, "first"), Point("new", Joint, "second")]
    install(monkeypatch, {LEARNERS.offers: points})
    assert find_learner("finetune") is FineTune
    assert find_learner("new") is Mine
    listed = {(info.name, info.package): info.error for info in available() if info.name in ("finetune", "new")}
    assert listed == {
        ("finetune", "cvis"): None,
        ("finetune", "rude"): "the name is taken: cvis has one of its own, which is used",
        ("new", "first"): None,
        ("new", "second"): "the name is taken by package first",
    }


def test_a_package_may_register_its_class_too(monkeypatch, tmp_path):
    """As the modules of this repository do; its name is not taken by itself."""
    (tmp_path / "cvis_registering.py").write_text(
        "from cvis.learners.finetune import FineTune\nfrom cvis.learners.registry import LEARNERS\n"
        '@LEARNERS.register_module(name="registering")\nclass Registering(FineTune):\n    "It does."\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    install(monkeypatch, {LEARNERS.offers: [Point("registering", "cvis_registering:Registering")]})
    try:
        listed = [(i.package, i.doc, i.error) for i in available() if i.name == "registering"]
        assert listed == [("my-package", "It does.", None)]
    finally:
        LEARNERS.registry.module_dict.pop("registering", None)


def test_a_learner_without_a_loss_is_refused():
    class Lossless(Learner):
        pass

    with pytest.raises(UserError, match="here: defines no loss"):
        registry._check_learner(Lossless, "here")


def test_what_a_learner_requires_is_a_class_of_the_contract():
    class Old(FineTune):
        requires = frozenset({"query_groups"})

    with pytest.raises(UserError, match=r"here: requires: 'query_groups': is no class of .*; choose of ClipTracks, "):
        registry._check_learner(Old, "here")


@pytest.mark.parametrize("name", ["", " ", "no/such.py:Thing"])
def test_odd_names_are_one_line(name):
    with pytest.raises(UserError) as caught:
        find_learner(name)
    assert "\n" not in str(caught.value)


def test_a_class_in_a_file(tmp_path):
    file = tmp_path / "my_method.py"
    file.write_text(
        "from cvis.learners.finetune import FineTune\nclass Better(FineTune):\n    '''Better.'''\nnumber = 3\n"
    )
    assert find_learner(f"{file}:Better").__name__ == "Better"
    with pytest.raises(UserError, match="has no class 'Worse'; choose one of Better"):
        find_learner(f"{file}:Worse")
    with pytest.raises(UserError, match="not a subclass"):
        find_learner(f"{file}:number")


@pytest.mark.parametrize("ending", ["", ":"])
def test_a_file_without_its_class_lists_the_classes_in_it(tmp_path, ending):
    file = tmp_path / "my_method.py"
    file.write_text("from cvis import Learner\nclass One(Learner): ...\nclass Two(Learner): ...\n")
    with pytest.raises(UserError) as caught:
        find_learner(f"{file}{ending}")
    assert str(caught.value) == f"learner: {file}: names no class; choose {file}:One or {file}:Two"
    with pytest.raises(UserError, match=rf"segmenter: {file}: names no class; choose {file}:One"):
        resolve("synthetic-20-4", "finetune", segmenter=str(file))


def test_a_file_that_does_not_import_says_why(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import not_there\n")
    with pytest.raises(UserError, match="does not import: ModuleNotFoundError: No module named 'not_there'"):
        find_learner(f"{file}:Mine")


class Few(ClipTracks):
    """A segmenter that can say what it sees in a clip, and nothing else."""

    def __init__(self):
        super().__init__()

    losses = predict = grow = clip_tracks = None


def test_a_pair_that_cannot_work_is_refused_with_the_missing_ability():
    for name, missing in (("eclipse", "query_groups"), ("combo", "aligned_queries")):
        with pytest.raises(UserError) as caught:
            build_learner({"type": name}, Few())
        message = f"learner '{name}' needs {missing} of the segmenter, which Few does not offer; it offers clip_tracks"
        assert str(caught.value) == message
    assert isinstance(build_learner({"type": "finetune"}, Few()), FineTune)
    assert build_learner({"type": "pseudo"}, Few()).segmenter.classes == []


def test_every_learner_of_ours_says_what_it_needs():
    needs = {info.name: set(info.requires) for info in available() if info.package == "cvis"}
    assert {name for name, abilities in needs.items() if not abilities} == {"finetune", "joint", "replay"}
    assert needs["pseudo"] == {"clip_tracks"}
    assert needs["crisp"] == needs["eclipse"] == {"query_groups"}
    assert needs["combo"] == {"aligned_queries"}
    assert needs["mib"] == {"class_slots"}
    assert needs["comformer"] == needs["balconpas"] == {"class_slots", "clip_tracks"}


def test_a_method_is_one_file_found_where_it_stands(tmp_path, monkeypatch):
    """CONTRIBUTING's recipe: a module in the package that registers a class, and nothing else."""
    import cvis.learners

    (tmp_path / "surprise.py").write_text(
        "from cvis.learners.finetune import FineTune\nfrom cvis.learners.registry import LEARNERS\n"
        '@LEARNERS.register_module(name="surprise")\nclass Surprise(FineTune):\n    "A surprise."\n'
    )
    monkeypatch.setattr(cvis.learners, "__path__", [*cvis.learners.__path__, str(tmp_path)])
    try:
        assert find_learner("surprise").__name__ == "Surprise"
    finally:
        LEARNERS.registry.module_dict.pop("surprise", None)


def test_a_registered_class_can_be_named_by_its_file_too_and_more_than_once(tmp_path):
    file = tmp_path / "twice.py"
    file.write_text(
        "from cvis.learners.finetune import FineTune\nfrom cvis.learners.registry import LEARNERS\n"
        '@LEARNERS.register_module(name="twice")\nclass Twice(FineTune):\n    "Twice."\n'
    )
    try:
        assert find_learner(f"{file}:Twice") is find_learner(f"{file}:Twice") is find_learner("twice")
    finally:
        LEARNERS.registry.module_dict.pop("twice", None)


def test_parameters_are_those_of_the_constructor_without_the_segmenter():
    assert list(parameters_of(Mine)) == ["weight", "deep"]
    assert not parameters_of(Learner)


def test_settings_of_the_parent_class_come_along():
    class Child(Mine):
        def __init__(self, segmenter, own: bool = True, weight: float = 1.0, **mine):
            super().__init__(segmenter, weight=weight, **mine)

    assert {name: p.default for name, p in parameters_of(Child).items()} == {"weight": 1.0, "deep": False, "own": True}
    assert check_settings(Child, {"deep": True, "weight": 3}) == {"deep": True, "weight": 3.0}
    for wrong, words in (({"depe": True}, "did you mean 'deep'"), ({"deep": "yes"}, r"learner\.deep: 'yes'")):
        with pytest.raises(UserError, match=words):
            check_settings(Child, wrong)


def test_annotations_that_cannot_be_read_check_nothing():
    class Loose(FineTune):
        def __init__(self, segmenter, what: "NotImported" = 1):  # noqa: F821
            super().__init__(segmenter)

    assert check_settings(Loose, {"what": "anything"}) == {"what": "anything"}
