"""All steps tested in one pass over the videos: file for file what testing after every step gives."""

import pytest
from compared_runs import assert_same_run
from interrupted import Killed
from tiny import settings

from cvis.engine import checkpoint, evaluate
from cvis.engine.run import run
from cvis.errors import UserError

SETTINGS = {
    "eclipse": ("learner.num_prompts=3", "learner.answers=group", "segmenter.class_head=mlp"),
    "crisp": ("learner.num_prompts=3", "learner.analytic_head=true", "learner.deltas=[-0.3]"),
    "anchor": ("learner.num_prompts=3", "segmenter.test.tracking=queries", "segmenter.test.window=2"),
}


@pytest.mark.parametrize("learner", SETTINGS)
def test_one_pass_is_each_step_file_for_file(stream, tmp_path, monkeypatch, learner):
    """Also where it is killed while a later step is trained, and in the pass."""

    def configured(name: str, how: str):
        return settings(stream, tmp_path / name, learner, *SETTINGS[learner], f"runtime.evaluate={how}")

    whole = run(configured("whole", "each-step"))
    folder = run(configured("once", "auto"), stop_after=0)
    assert (folder / "step0" / "metrics.json").is_file()
    for module, name, calls in ((checkpoint, "save", 4), (evaluate, "_predict", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, _dying(getattr(module, name), calls))
            with pytest.raises(Killed):
                run(configured("once", "one-pass"))
        assert (folder / "step1" / "trained.json").is_file()
        assert not (folder / "step1" / "metrics.json").exists()
    looked = []
    monkeypatch.setattr(evaluate, "_predict", _counting(evaluate._predict, looked))
    run(configured("once", "each-step"))  # what is trained already is tested in one pass all the same
    assert len(looked) == 4
    assert_same_run(whole, folder)
    assert not list(folder.rglob("trained.json"))


def _dying(original, calls: int):
    left = [calls]

    def dying(*arguments):
        left[0] -= 1
        if not left[0]:
            raise Killed
        return original(*arguments)

    return dying


def _counting(original, calls: list):
    return lambda *arguments: (calls.append(arguments), original(*arguments))[1]


def test_a_learner_that_changes_old_parts_is_refused_or_tested_after_each_step(stream, finished, tmp_path):
    with pytest.raises(UserError, match=r"runtime\.evaluate: one-pass: finetune: .*use each-step, or auto"):
        run(settings(stream, tmp_path, "finetune", "runtime.evaluate=one-pass"))
    assert not list(tmp_path.iterdir())
    assert_same_run(finished, run(settings(stream, tmp_path, "finetune", "runtime.evaluate=auto")))
