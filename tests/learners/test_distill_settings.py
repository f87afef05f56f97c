"""Every setting of the methods that look back: a value that makes no sense is one line that names it."""

from typing import get_args

import pytest
from tiny import settings
from two_models import make_segmenter

from cvis.errors import UserError
from cvis.learners import build_learner, find_learner
from cvis.learners.settings import parameters_of

LEARNERS = ("mib", "comformer", "combo", "balconpas", "replay", "pseudo")
COUNTS = ("rank", "tracks_per_class")  # 0: none
KEYS = [(name, key) for name in LEARNERS for key in parameters_of(find_learner(name))]


def wrong_values(name: str, key: str) -> list[object]:
    """The first of them is well-typed on the command line where that is possible."""
    default = parameters_of(find_learner(name))[key].default
    if isinstance(default, bool):
        return ["maybe", 1, 0.0, None]
    if isinstance(default, str):
        return ["none of them", 1, True, None]
    if key in COUNTS:
        return [-1, 0.5, True, "many", None]
    return [-0.5, float("nan"), float("inf"), True, "much", None]


def one_line(error: UserError, key: str) -> None:
    assert f"learner.{key}: " in str(error)
    assert "\n" not in str(error)


@pytest.fixture(scope="module")
def segmenter():
    return make_segmenter()


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_a_value_that_makes_no_sense_is_refused(name, key, segmenter, stream, tmp_path):
    """On the command line its type is compared with the default's first; a file may hold anything."""
    wrong = wrong_values(name, key)
    with pytest.raises(UserError) as caught:
        build_learner(settings(stream, tmp_path, name, f"learner.{key}={wrong[0]}").learner, segmenter)
    one_line(caught.value, key)
    for value in wrong:
        with pytest.raises(UserError) as caught:
            build_learner({"type": name, key: value}, segmenter)
        one_line(caught.value, key)


@pytest.mark.parametrize(("name", "key"), [pair for pair in KEYS if not pair[1].startswith("analytic_")])
def test_the_other_values_are_taken(name, key, segmenter):
    parameter = parameters_of(find_learner(name))[key]
    given = (not parameter.default) if isinstance(parameter.default, bool) else 3
    if isinstance(parameter.default, str):
        given = get_args(parameter.annotation)[-1]
    learner = build_learner({"type": name, key: given}, segmenter)
    if key == "tracks_per_class":
        assert learner.memory.tracks_per_class == 3
    else:
        assert getattr(learner, key) == given


def test_an_unknown_key_is_refused(segmenter):
    for name in LEARNERS:
        with pytest.raises(UserError, match=r"alpha"):
            build_learner({"type": name, "alpha": 1}, segmenter)


def test_there_is_something_to_test():
    assert len(KEYS) > 30
