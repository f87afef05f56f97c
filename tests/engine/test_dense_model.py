"""A dense model without queries runs a whole stream with the learners that ask for none; the others are refused."""

import json

import dense_toy  # noqa: F401  registers the model
import pytest

from cvis.engine.resolve import resolve
from cvis.engine.run import run
from cvis.errors import UserError


def dense_settings(stream, folder, learner: str, *overrides: str):
    folder.mkdir(exist_ok=True)
    file = folder / "dense.py"
    file.write_text('segmenter = dict(type="dense_toy", width=16)\n')
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
    return resolve(str(stream), learner, segmenter=str(file), schedule="tiny", overrides=[*small, *overrides])


@pytest.mark.parametrize("learner", ["finetune", "joint", "replay", "pseudo"])
def test_a_dense_model_runs_a_whole_stream(stream, tmp_path, learner):
    folder = run(dense_settings(stream, tmp_path, learner))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["steps"]) == (1 if learner == "joint" else 3)
    assert metrics["steps"][0]["mAP_seen"] > 20  # it learns: the classes are colours
    assert not (folder / "queries.npz").exists()
    if learner == "pseudo":  # what it saw of old classes was a target, and they are still found
        assert metrics["steps"][-1]["mAP_old"] > 20
    if learner == "finetune":
        assert metrics["final"]["FR"] is not None


@pytest.mark.parametrize(
    ("learner", "missing"),
    [
        *(("mib", "aligned_queries"), ("eclipse", "query_groups"), ("crisp", "query_groups")),
        *(("combo", "aligned_queries"), ("comformer", "aligned_queries"), ("balconpas", "aligned_queries")),
    ],
)
def test_what_it_cannot_do_is_said_before_anything_is_trained(stream, tmp_path, learner, missing):
    with pytest.raises(UserError) as caught:
        run(dense_settings(stream, tmp_path, learner))
    message = (
        f"learner '{learner}' needs {missing} of the segmenter, which DenseToy does not offer; it offers clip_tracks"
    )
    assert str(caught.value) == message
    assert not list(tmp_path.rglob("step*"))
