"""``queries.npz``: the final query embeddings, read without the model."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny import settings

from cvis.engine import checkpoint
from cvis.engine.queries import write_queries
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.segmenters import build_segmenter


@pytest.fixture
def grown(stream, tmp_path):
    """A segmenter with groups of 6, 2 and 3 queries, of the steps 0, 1 and 2."""
    segmenter = build_segmenter(settings(stream, tmp_path).segmenter)
    segmenter.add_query_group(2, step=1)
    segmenter.add_query_group(3, step=2)
    return segmenter


def test_all_groups_in_order_with_the_step_that_owns_each_query(grown, tmp_path):
    write_queries(tmp_path / "queries.npz", grown)
    with np.load(tmp_path / "queries.npz") as content:
        queries, step = content["queries"], content["step"]
    assert queries.dtype == np.float32
    assert step.dtype == np.int64
    assert step.tolist() == [0] * 6 + [1] * 2 + [2] * 3
    by_hand = [group.queries.detach().numpy() for group in grown.groups]
    assert queries.shape == (11, by_hand[0].shape[1])
    assert np.array_equal(queries[6:8], by_hand[1])
    assert np.array_equal(queries[8:], by_hand[2])


def test_equal_queries_give_equal_bytes_and_others_do_not(grown, tmp_path):
    for name in ("a", "b"):
        write_queries(tmp_path / name, grown)
    with torch.no_grad():
        grown.groups[1].queries[0, 0] += 1
    write_queries(tmp_path / "c", grown)
    first, same, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == same != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]  # nothing half-written, no other suffix


def test_a_place_that_cannot_be_written_is_one_line(grown, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"queries\.npz: cannot be written"):
        write_queries(tmp_path / "file" / "queries.npz", grown)


def test_a_run_leaves_the_queries_that_its_model_ended_with(finished):
    state = checkpoint.overlay([finished / f"step{i}" / "model.pth" for i in range(3)])
    with np.load(finished / "queries.npz") as content:
        assert np.array_equal(content["queries"], state["segmenter.groups.0.queries"].numpy())
        assert content["step"].tolist() == [0] * 6


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
