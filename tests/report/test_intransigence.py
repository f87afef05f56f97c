"""Intransigence needs the joint run: the one of the same stream, segmenter, protocol and seed, and no other."""

from __future__ import annotations

import json

import pytest
from stream_runs import write_stream
from typer.testing import CliRunner

from cvis.cli import app
from cvis.evaluation.measures import COLUMNS
from cvis.report import comparison, load_runs

JOINT = {7: (50.0,), 3: (30.0,), 5: (80.0,), 9: (20.0,)}
# new at their steps: 7 with 40 and 3 with 10, 5 with 50, 9 with 30; joint training has means of 40, 80 and 20
EXPECTED = (40 - 25 + 80 - 50 + 20 - 30) / 3


def cells(root):
    (group,) = comparison(load_runs([root]).runs, ["intransigence"])
    return {row.learner: row.cells["intransigence"] for block in group.blocks for row in block.rows}


def test_it_is_the_gap_to_the_joint_run_of_the_same_seed(tmp_path):
    for seed, more in ((0, 0.0), (1, 6.0)):
        write_stream(tmp_path, "finetune", seed)
        write_stream(tmp_path, "joint", seed, ap={c: (ap + more,) for c, (ap,) in JOINT.items()})
    found = cells(tmp_path)
    assert found["finetune"].by_seed == pytest.approx({0: EXPECTED, 1: EXPECTED + 6})
    assert found["joint"].mean is None  # nothing is measured against itself


def test_a_seed_without_a_joint_run_has_none(tmp_path):
    for seed in (0, 1):
        write_stream(tmp_path, "finetune", seed)
    write_stream(tmp_path, "joint", 1, ap=JOINT)
    assert list(cells(tmp_path)["finetune"].by_seed) == [1]


@pytest.mark.parametrize("other", [{"protocol": {"init": "coco"}}, {"scenario": "synthetic-10-10"}])
def test_a_joint_run_of_another_protocol_or_stream_is_none(tmp_path, other):
    write_stream(tmp_path / "ours", "finetune")
    write_stream(tmp_path / "other", "joint", ap=JOINT, **other)
    statistics = [
        row.cells["intransigence"]
        for group in comparison(load_runs([tmp_path]).runs, ["intransigence"])
        for block in group.blocks
        for row in block.rows
    ]
    assert [cell.mean for cell in statistics] == [None, None]


def test_less_is_better_and_it_is_shown_when_asked_for(tmp_path):
    for seed in (0, 1):
        write_stream(tmp_path, "stiff", seed, ap={7: (0.0,) * 3, 3: (0.0,) * 3, 5: (0.0,) * 3, 9: (0.0,) * 3})
        write_stream(tmp_path, "supple", seed)
        write_stream(tmp_path, "joint", seed, ap=JOINT)
    assert {name: cell.rank for name, cell in cells(tmp_path).items()} == {"supple": 1, "stiff": 2, "joint": 0}
    assert "intransigence" not in COLUMNS
    shown = CliRunner().invoke(app, ["compare", str(tmp_path), "--metric", "intransigence"]).stdout.splitlines()
    assert shown[1].split()[-1] == "intransigence"
    assert {line.split()[0]: line.split("  ")[-1].split()[0] for line in shown[2:5]} == {
        "stiff": "46.67",
        "supple": f"{EXPECTED:.2f}",
        "joint": "-",
    }


def test_a_metric_that_is_younger_than_a_run_is_computed_from_its_classes(tmp_path):
    """The file of an older run lacks it; the APs that it is made from are there."""
    write_stream(tmp_path, "finetune")
    file = next(tmp_path.rglob("seed*/metrics.json"))
    content = json.loads(file.read_text())
    values = []
    for change in (lambda final: None, lambda final: final.pop("plasticity", None)):
        change(content["final"])
        file.write_text(json.dumps(content))
        (group,) = comparison(load_runs([tmp_path]).runs, ["plasticity"])
        values.append(group.blocks[0].rows[0].cells["plasticity"].mean)
    assert values[1] == pytest.approx((50 + 30) / 2)  # of the classes of the two later steps, when new
