"""The step-0 model that comes with cvis is what its folder says, and what today's default recipe asks for."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import torch

from cvis.engine.resolve import resolve
from cvis.engine.store import StepZero, recipe
from cvis.files import shipped
from cvis.segmenters import build_segmenter

(FOLDER,) = (path.parent for path in (shipped("configs") / "step0").glob("*/recipe.json"))
RECIPE = json.loads((FOLDER / "recipe.json").read_text())


def zero(tmp_path, *overrides):
    config = resolve("synthetic-20-4", "crisp", overrides=overrides)
    train = SimpleNamespace(sha256=RECIPE["train_data"])
    task = SimpleNamespace(train=train, new_classes=RECIPE["classes"], images=None)
    made = recipe(config, task, torch.device("cpu"), amp=False)
    return config, StepZero(tmp_path, made, config.runtime.shipped_step0)


def test_it_is_taken_by_runs_of_its_recipe_and_by_no_others(tmp_path):
    config, step0 = zero(tmp_path)
    assert step0.source == FOLDER / "model.pth"
    segmenter = build_segmenter(config.segmenter)
    segmenter.add_classes(RECIPE["classes"])
    segmenter.load_state_dict(step0.load()["state"])
    for change in ("runtime.seed=1", "schedule.base.iterations=3999", "runtime.shipped_step0=false"):
        assert zero(tmp_path, change)[1].source is None, change


def test_one_of_the_runs_own_goes_first(tmp_path):
    _, step0 = zero(tmp_path)
    step0.save(torch.nn.Linear(1, 1), train_s=1.0)
    assert step0.source == step0.file


def test_its_checksum_stands_beside_it_and_it_is_small():
    content = (FOLDER / "model.pth").read_bytes()
    assert (FOLDER / "SHA256SUMS").read_text().split() == [hashlib.sha256(content).hexdigest(), "model.pth"]
    assert len(content) < 4 << 20
    assert FOLDER.name == hashlib.sha256(json.dumps(RECIPE, sort_keys=True).encode()).hexdigest()[:16]
