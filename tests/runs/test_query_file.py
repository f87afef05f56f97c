"""``queries.npz``: the final query embeddings, read without the model."""

import json
import shutil

import numpy as np
import pytest
from tiny import settings

from cvis.engine import checkpoint
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.runs.queries import read_queries, write_queries

STEP = np.array([0] * 6 + [1] * 2 + [2] * 3)


def embeddings(seed=0):
    return np.random.default_rng(seed).normal(size=(len(STEP), 4)).astype(np.float32)


def test_what_is_written_is_read_again_in_the_order_of_the_steps(tmp_path):
    write_queries(tmp_path, embeddings()[::-1], STEP[::-1])
    queries = read_queries(tmp_path)
    assert (queries.embeddings.dtype, queries.step.dtype) == (np.float32, np.int64)
    assert queries.step.tolist() == STEP.tolist()
    for step in range(3):
        ours, theirs = (array[step == STEP] for array in (queries.embeddings, embeddings()))
        assert {row.tobytes() for row in ours} == {row.tobytes() for row in theirs}


def test_equal_queries_give_equal_bytes_and_others_do_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_queries(tmp_path / name, embeddings(seed), STEP)
    first, same, other = ((tmp_path / name / "queries.npz").read_bytes() for name in "abc")
    assert first == same != other
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["queries.npz"]  # nothing half-written


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"queries\.npz: cannot be written"):
        write_queries(tmp_path / "file", embeddings(), STEP)


def test_a_run_leaves_the_queries_that_its_model_ended_with(finished):
    state = checkpoint.overlay([finished / f"step{i}" / "model.pth" for i in range(3)])
    with np.load(finished / "queries.npz") as content:
        assert np.array_equal(content["queries"], state["segmenter.groups.0.queries"].numpy())
        assert (content["queries"].dtype, content["step"].dtype) == (np.float32, np.int64)
        assert content["step"].tolist() == [0] * 6


def test_prompts_follow_the_base_queries_with_the_step_that_owns_them(stream, tmp_path):
    quick = ("schedule.base.iterations=1", "schedule.incremental.iterations=1")
    folder = run(settings(stream, tmp_path, "eclipse", *quick, "learner.num_prompts=2", "segmenter.dim=64"))
    state = checkpoint.overlay([folder / f"step{i}" / "model.pth" for i in range(3)])
    queries = read_queries(folder)
    assert queries.step.tolist() == [0] * 6 + [1] * 2 + [2] * 2
    groups = [state[f"segmenter.groups.{i}.queries"].numpy() for i in range(3)]
    assert np.array_equal(queries.embeddings, np.concatenate(groups))


def test_a_run_keeps_the_command_that_began_it(stream, tmp_path):
    config = settings(stream, tmp_path)
    folder = run(config, "cvis run tiny --seeds 0,1")
    (folder / "metrics.json").unlink()
    run(config, "cvis run tiny")
    assert json.loads((folder / "run.json").read_text())["command"] == "cvis run tiny --seeds 0,1"


def test_a_complete_run_is_left_as_it_is(stream, finished, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(finished.parents[3], runs)
    folder = runs / finished.relative_to(finished.parents[3])
    (folder / "queries.npz").unlink()
    assert run(settings(stream, runs)) == folder
    assert not (folder / "queries.npz").exists()
