"""What the author of a learner or segmenter gets wrong is one sentence with her class in it, or her own traceback."""

from __future__ import annotations

import re
from types import SimpleNamespace

import dense_toy
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from cvis.cli import app
from cvis.engine.losses import LossError, total_loss
from cvis.engine.tasks import StateError, check_entries, entries
from cvis.errors import UserError
from cvis.learners import build_learner
from cvis.learners.finetune import FineTune
from cvis.segmenters import build_segmenter

WEIGHT = nn.Parameter(torch.ones(()))


class Mine(FineTune):
    pass


def mine() -> Mine:
    return Mine(dense_toy.DenseToy())


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        (WEIGHT * 2, "returned a scalar, not a dict; return scalars by name: {'loss': value}"),
        (torch.ones(3), "returned a tensor of shape [3], not a dict; "),
        (None, "returned None, not a dict; "),
        ([WEIGHT], "returned a list, not a dict; "),
        (0.5, "returned the float 0.5, not a dict; "),
        ({}, "returned {}, no loss at all; "),
        (
            {"a": 0.5},
            "'a': is the float 0.5, not a scalar tensor; return the tensor itself, without .item() or float()",
        ),
        ({"a": None}, "'a': is None, not a scalar tensor; "),
        ({"a": WEIGHT.expand(4)}, "'a': is a tensor of shape [4], not a scalar; end it with .mean() or .sum()"),
        (
            {"a": WEIGHT.detach()},
            "'a': no gradient leads back from it; compute it without .detach() and torch.no_grad()",
        ),
        ({"a": WEIGHT * 1, "seen": torch.tensor(3.0)}, "'seen': no gradient leads back from it; "),
    ],
    ids=lambda value: None if isinstance(value, str) else re.sub(r"\W+", "-", str(value))[:24],
)
def test_what_is_no_loss_is_told_by_class_and_name(losses, says):
    with pytest.raises(LossError) as caught:
        total_loss(losses, mine(), "step 0, iteration 0", first=True)
    assert f"step 0, iteration 0: Mine.loss: {says}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_losses_are_summed_and_a_constant_zero_is_none():
    """A method may have nothing to add to a batch."""
    total = total_loss({"a": WEIGHT * 2, "b": WEIGHT * 3, "none": torch.zeros(())}, mine(), "", first=True)
    assert total.item() == 5
    total.backward()
    assert WEIGHT.grad.item() == 5


def test_a_segmenter_of_ones_own_is_named_behind_a_learner_of_ours():
    with pytest.raises(LossError, match=r"DenseToy\.losses: returned None"):
        total_loss(None, FineTune(dense_toy.DenseToy()), "step 0")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: setattr(m, "scale", nn.Parameter(torch.ones(2))), "'scale': is a new parameter, which no optimiser"),
        (lambda m: m.register_buffer("seen", torch.ones(2)), "'seen': is a new buffer, and a resumed run"),
        (lambda m: setattr(m, "kept", torch.ones(3)), "'kept': has the shape [3], not [2] as begin_task left it; "),
        (lambda m: setattr(m, "learned", nn.Parameter(torch.ones(2))), "'learned': is another parameter than the one"),
    ],
    ids=["parameter", "buffer", "shape", "replaced"],
)
def test_state_that_loss_makes_is_refused(change, says):
    learner = mine()
    learner.register_buffer("kept", torch.zeros(2))
    learner.learned = nn.Parameter(torch.zeros(2))
    before = entries(learner)
    learner.kept = torch.ones(2)  # other values are what training is for
    learner.learned.data.fill_(3)
    learner.register_buffer("cache", torch.ones(5), persistent=False)
    check_entries(learner, before, "loss")
    change(learner)
    with pytest.raises(StateError) as caught:
        check_entries(learner, before, "loss")
    assert f"Mine.loss: {says}" in str(caught.value)


def test_a_layer_that_waits_for_its_first_batch_is_refused():
    learner = mine()
    learner.lazy = nn.LazyLinear(2)
    before = entries(learner)
    check_entries(learner, before, "loss")
    learner.lazy(torch.ones(1, 3))
    with pytest.raises(StateError, match=r"has the shape \[2, 3\], not open"):
        check_entries(learner, before, "loss")


class NoInit(FineTune):
    def __init__(self, segmenter):
        self.weight = 2.0


class LateInit(FineTune):
    def __init__(self, segmenter):
        self.head = nn.Linear(2, 2)
        super().__init__(segmenter)


class OnlyModule(FineTune):
    def __init__(self, segmenter):
        nn.Module.__init__(self)


class NoInitModel(dense_toy.DenseToy):
    def __init__(self):
        self.width = 3


@pytest.mark.parametrize("kind", [NoInit, LateInit, OnlyModule, NoInitModel])
def test_a_forgotten_super_init_is_told(kind, monkeypatch):
    from cvis.learners import LEARNERS
    from cvis.segmenters import SEGMENTERS
    from cvis.testing.check import named

    is_model = issubclass(kind, dense_toy.DenseToy)
    call = "super().__init__()" if is_model else "super().__init__(segmenter)"
    with named(SEGMENTERS if is_model else LEARNERS, kind) as name, pytest.raises(UserError) as caught:
        build_segmenter({"type": name}) if is_model else build_learner({"type": name}, dense_toy.DenseToy())
    assert f"{kind.__name__}.__init__: does not call its parent's; make {call} its first line" in str(caught.value)


PLUGIN = """
import torch
from cvis.learners.finetune import FineTune
class Broken(FineTune):
    own_step0 = True
    def loss(self, clip):
        return {"loss": self.of(clip.frames.float())}
    def of(self, frames):
        return torch.ones(2) @ torch.ones(3)
class Forgetful(FineTune):
    def begin_task(self, task):
        self.task = task
class Mistaken(FineTune):
    def loss(self, clip):
        from cvis.data.rle import encode
        return {"loss": encode("no mask")}
    own_step0 = True
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    file = tmp_path_factory.mktemp("plugin") / "broken.py"
    file.write_text(PLUGIN)
    return file


def cvis_run(stream, plugin, name, tmp_path, *more):
    fast = ("schedule.batch_size=1", "sampling.short_sides=[32]", "runtime.device=cpu", "runtime.loggers=[]")
    sets = [word for key in fast for word in ("--set", key)]
    command = ["run", str(stream), "--learner", f"{plugin}:{name}", "--segmenter", "dense_toy", "--schedule", "tiny"]
    return CliRunner().invoke(app, [*command, "--runs", str(tmp_path), *sets, *more])


def test_an_author_sees_her_own_lines_and_then_one_sentence(stream, plugin, tmp_path):
    result = cvis_run(stream, plugin, "Broken", tmp_path)
    assert result.exit_code == 1
    *shown, last = result.stderr.splitlines()
    files = re.findall(r'File "([^"]+)", line \d+, in (\w+)', "\n".join(shown))
    assert files == [(str(plugin), "loss"), (str(plugin), "of")]
    assert 'return {"loss": self.of(clip.frames.float())}' in "\n".join(shown)
    assert last.startswith(f"cvis: Broken.of: {plugin}:9: RuntimeError: ")
    assert last.endswith("; the fault is in this file")


def test_with_debug_everything_is_shown(stream, plugin, tmp_path, monkeypatch):
    for more in (["--debug"], []):
        if not more:
            monkeypatch.setenv("CVIS_DEBUG", "1")
        result = cvis_run(stream, plugin, "Broken", tmp_path, *more)
        assert isinstance(result.exception, RuntimeError)
        assert "the fault is" not in result.stderr
    result = cvis_run(stream, plugin, "Forgetful", tmp_path)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("cvis: step 0: Forgetful.begin_task: ")


def test_a_forgotten_add_classes_is_told_as_that(stream, plugin, tmp_path):
    result = cvis_run(stream, plugin, "Forgetful", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "cvis: step 0: Forgetful.begin_task: the segmenter does not know classes [1, 2] afterwards; "
        "call super().begin_task(task) in it, or self.segmenter.add_classes(task.new_classes)"
    )


def test_what_our_code_raises_keeps_its_whole_traceback(stream, plugin, tmp_path):
    result = cvis_run(stream, plugin, "Mistaken", tmp_path)
    assert "the fault is in this file" not in result.stderr
    assert result.exit_code == 1
    assert result.exception is not None


def test_a_package_is_known_by_its_entry_points(monkeypatch):
    from cvis import blame

    error = None
    try:
        exec(compile("def f():\n    raise KeyError('x')\nf()", "their.py", "exec"), {"__name__": "theirs.models"})
    except KeyError as caught:
        error = caught
    assert blame.frames_of_author(error) == []
    points = SimpleNamespace(groups={"cvis.learners"}, select=lambda group: [SimpleNamespace(module="theirs.models")])
    monkeypatch.setattr(blame, "entry_points", lambda: points)
    frames = blame.frames_of_author(error)
    assert [line for _, line in frames] == [3, 2]
    assert blame.sentence(error, frames) == "f: their.py:2: KeyError: 'x'"
