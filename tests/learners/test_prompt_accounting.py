"""What a prompt step trains and stores, counted: the numbers of the method at full size, and the files of a run."""

import json

import pytest
import torch
from mmengine.config import Config
from tiny import settings

from cvis.engine import checkpoint
from cvis.engine.run import run
from cvis.files import shipped
from cvis.learners.eclipse import Eclipse
from cvis.scenario import Task
from cvis.segmenters.registry import build_segmenter

DIM, LAYERS, PROMPTS = 256, 9, 10
PERCEPTRON = 2 * (DIM * DIM + DIM)  # the two hidden layers of every head


def by_hand(classes: int) -> int:
    """Prompts, their positions in every layer, mask head, class head, and the no-object head that goes on learning."""
    mask_head = PERCEPTRON + DIM * DIM + DIM
    class_head, no_object = (PERCEPTRON + DIM * rows + rows for rows in (classes, 1))
    return PROMPTS * DIM + LAYERS * PROMPTS * DIM + mask_head + class_head + no_object


@pytest.fixture(scope="module")
def at_full_size() -> Eclipse:
    """ECLIPSE on Mask2Former with ResNet-50 and 20 base classes."""
    file = shipped("configs") / "segmenters" / "mask2former_r50.py"
    learner = Eclipse(build_segmenter(Config.fromfile(file).to_dict()["segmenter"])).eval()
    learner.begin_task(Task(0, tuple(range(20)), (), train=None, hidden=0))
    return learner


def test_trainable_and_stored_parameters_at_full_size(at_full_size, tmp_path):
    """Growing 2, 4, 5 and 10 classes in turn: what is trained does not depend on what was learned before."""
    learner, seen = at_full_size, 20
    before = checkpoint.snapshot(learner.state_dict())
    files = [tmp_path / "0.pth"]
    checkpoint.save(files[0], {"state": before})
    expected = {2: 486_915, 4: 487_429, 5: 487_686, 10: 488_971}
    for step, (classes, number) in enumerate(expected.items(), start=1):
        learner.begin_task(Task(step, tuple(range(seen, seen + classes)), tuple(range(seen)), train=None, hidden=0))
        seen += classes
        trained = {name: p for name, p in learner.named_parameters() if p.requires_grad}
        assert sum(p.numel() for p in trained.values()) == number == by_hand(classes)
        with torch.no_grad():
            for parameter in trained.values():  # stands for training
                parameter.add_(0.01)
        state = checkpoint.snapshot(learner.state_dict())
        stored = checkpoint.changed(state, before)
        assert stored.keys() == trained.keys()
        assert checkpoint.count(stored) == number
        files.append(tmp_path / f"{step}.pth")
        checkpoint.save(files[-1], {"state": stored})
        assert 4 * number < files[-1].stat().st_size < 4 * number + 20_000  # about 2 MB
        before = state
    together = checkpoint.overlay(files)
    assert together.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in together.items())
    learner.load_state_dict(together, strict=True)


@pytest.fixture(scope="module")
def prompted(stream, tmp_path_factory):
    """The folder of a run of ECLIPSE on the tiny stream, with all that a step can change."""
    return run(settings(stream, tmp_path_factory.mktemp("prompts"), "eclipse", "learner.train_no_object=true"))


def test_a_run_reports_what_its_steps_store(prompted):
    steps = json.loads((prompted / "metrics.json").read_text())["steps"]
    for index, step in enumerate(steps):
        state = checkpoint.load(prompted / f"step{index}" / "model.pth")["state"]
        assert step["stored_params"] == sum(value.numel() for value in state.values())
    assert steps[0]["stored_params"] >= steps[0]["total_params"]  # and buffers
    for step in steps[1:]:
        assert step["stored_params"] == step["trainable_params"] < 0.1 * step["total_params"]


def test_the_files_of_a_prompt_step_hold_what_it_added_or_changed(prompted):
    for step in (1, 2):
        names = set(checkpoint.load(prompted / f"step{step}" / "model.pth")["state"])
        parts = {name.removeprefix("segmenter.") for name in names}
        shared = {"class_heads.no_object.weight", "class_heads.no_object.bias"}
        assert shared < parts
        added = (f"groups.{step}.", f"class_heads.steps.{step}.")
        assert all(part.startswith(added) for part in parts - shared)
        assert {f"groups.{step}.queries", f"groups.{step}.positions", f"groups.{step}.mask_head.0.weight"} < parts
