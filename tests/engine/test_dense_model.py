"""A dense model without queries runs a whole stream with the learners that ask for none; the others are refused."""

import json
from pathlib import Path

import dense_toy
import pytest
import slot_toys  # noqa: F401  # registers itself

from cvis.engine.resolve import resolve
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.segmenters import build_segmenter


def dense_settings(stream, folder, learner: str, *overrides: str, segmenter: str = "dense_toy"):
    small = (
        f"runtime.runs={folder}",
        "runtime.device=cpu",
        "runtime.loggers=[]",
        "schedule.batch_size=2",
        "schedule.base.iterations=200",
        "schedule.base.lr=0.02",
        "schedule.incremental.iterations=60",
        "schedule.incremental.lr=0.02",
        "schedule.joint.lr=0.02",
        "sampling.short_sides=[32]",
    )
    return resolve(str(stream), learner, segmenter=segmenter, schedule="tiny", overrides=[*small, *overrides])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Where learners share a model's step 0."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("learner", ["finetune", "joint", "replay", "pseudo"])
def test_a_dense_model_runs_a_whole_stream(stream, runs, learner):
    folder = run(dense_settings(stream, runs, learner))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["steps"]) == (1 if learner == "joint" else 3)
    assert metrics["steps"][0]["mAP_seen"] > 20  # it learns: the classes are colours
    assert not (folder / "queries.npz").exists()
    if learner == "pseudo":  # what it saw of old classes was a target, and they are still found
        assert metrics["steps"][-1]["mAP_old"] > 20
    if learner == "finetune":
        assert metrics["final"]["FR"] is not None


@pytest.mark.parametrize(
    ("learner", "toy"),
    [("mib", "column"), ("balconpas", "column"), ("mib", "sigmoid"), ("comformer", "sigmoid")],
)
def test_methods_that_look_back_at_pixels_keep_old_classes(stream, runs, learner, toy):
    """Of which fine-tuning finds none in the end."""
    folder = run(dense_settings(stream, runs, learner, segmenter=f"{toy}_toy"))
    assert json.loads((folder / "metrics.json").read_text())["steps"][-1]["mAP_old"] > 20


@pytest.mark.parametrize(
    ("learner", "missing"),
    [
        *(("mib", "class_slots"), ("eclipse", "query_groups"), ("crisp", "query_groups")),
        *(("combo", "aligned_queries"), ("comformer", "class_slots"), ("balconpas", "class_slots")),
    ],
)
def test_what_it_cannot_do_is_said_before_anything_is_trained(stream, tmp_path, learner, missing):
    with pytest.raises(UserError) as caught:
        run(dense_settings(stream, tmp_path, learner))
    message = (
        f"learner '{learner}' needs {missing} of the segmenter, which DenseToy does not offer; it offers clip_tracks"
    )
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_a_model_is_named_by_its_file_too(stream, tmp_path):
    """Built with its defaults; what a configuration would say can be said by --set."""
    file = tmp_path / "mine.py"
    file.write_text(Path(dense_toy.__file__).read_text().replace('"dense_toy"', '"mine"'))
    config = resolve(str(stream), "finetune", segmenter=f"{file}:DenseToy", overrides=["segmenter.width=8"])
    assert (config.names.segmenter, config.segmenter) == ("DenseToy", {"type": f"{file}:DenseToy", "width": 8})
    assert type(build_segmenter(config.segmenter)).__name__ == "DenseToy"
    with pytest.raises(UserError, match="has no class 'Sparse'"):
        build_segmenter({"type": f"{file}:Sparse"})
