"""CoMFormer as published and the variant that is the default: what sets them apart, and that every table says it."""

import json

import pytest
import torch
from run_folders import write_run
from tiny import settings
from two_models import losses_of, make_clip, make_learner

from cvis.engine.resolve import resolve
from cvis.engine.run import run
from cvis.learners.comformer import PUBLISHED
from cvis.report.formats import FORMATS, render
from cvis.report.result_tables import ResultTables
from cvis.report.table import comparison
from cvis.runs.find import load_runs

VARIANT, AS_PUBLISHED = "CoMFormer (variant)", "CoMFormer (as published)"


@pytest.mark.parametrize("segmenter", ["mask2former_tiny", "mask2former_r50"])
def test_the_preset_is_the_published_method(segmenter):
    plain = resolve("ytvis2019-20-4", "comformer", segmenter=segmenter).learner
    chosen = resolve("ytvis2019-20-4", "comformer", segmenter=segmenter, preset="comformer_paper").learner
    assert chosen == {"type": "comformer", **PUBLISHED}
    assert {key: plain[key] for key in PUBLISHED if plain[key] != PUBLISHED[key]} == dict(
        focal=False, soft_masks=False, lr_mult=1.0
    )


@pytest.mark.parametrize("changed", [None, *PUBLISHED])
def test_only_the_published_settings_are_called_so(changed):
    given = dict(PUBLISHED)
    if changed:
        value = given[changed]
        given[changed] = (not value) if isinstance(value, bool) else value + 0.25
    assert make_learner("comformer", 1, **given).label == (VARIANT if changed else AS_PUBLISHED)
    assert make_learner("comformer", 1).label == VARIANT


def test_runs_carry_it(stream, tmp_path):
    labels = []
    for preset in (None, "comformer_paper"):
        few = ("schedule.base.iterations=1", "schedule.incremental.iterations=1")
        folder = run(settings(stream, tmp_path, "comformer", *few, preset=preset))
        labels.append(json.loads((folder / "metrics.json").read_text())["label"])
    assert labels == [VARIANT, f"comformer-comformer_paper, {AS_PUBLISHED}"]


@pytest.mark.parametrize("format", FORMATS)
def test_rows_of_one_name_are_told_apart_in_every_format(format, tmp_path):
    """Also where both are called comformer, and even of one seed."""
    for folder, label in (("a", VARIANT), ("b", AS_PUBLISHED)):
        write_run(tmp_path / folder, "comformer", 0, label=label)
    text = render(ResultTables(comparison(load_runs([tmp_path]).runs)), format)
    assert VARIANT in text
    assert AS_PUBLISHED in text


def test_teacher_and_student_read_masks_alike():
    learner = make_learner("comformer", 2, **PUBLISHED)
    assert learner.segmenter.soft_masks
    assert learner.teacher.segmenter.soft_masks
    assert not make_learner("comformer", 2).teacher.segmenter.soft_masks


def test_all_that_learns_gets_a_finite_gradient_without_targets_too():
    learner = make_learner("comformer", 2, **PUBLISHED)
    for classes in ((40, 41), ()):
        learner.zero_grad()
        sum(losses_of(learner, make_clip(classes)).values()).backward()
        gradients = [p.grad for p in learner.parameters() if p.requires_grad]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
