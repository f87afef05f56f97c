"""Learner x segmenter, from made-up runs: what stands in one line, what does not, and how it is shown."""

from __future__ import annotations

import json

import pytest
from run_folders import write_row, write_run
from stream_runs import AP, write_stream
from typer.testing import CliRunner

from cvis.cli import app
from cvis.report.formats import render
from cvis.report.matrix import matrices
from cvis.report.matrix_tables import MatrixTables
from cvis.report.page.build import Options, build
from cvis.report.plots.matrix import matrix_heatmap
from cvis.report.plots.output import write_plots
from cvis.runs.find import load_runs

TINY, OTHER = "mask2former_tiny", "vistr_tiny"
WHY = {("crisp", OTHER): "the model offers no query_groups"}
SHORTER = {"schedule": {"scale": 1.0, "base": {"iterations": 5}}}


@pytest.fixture
def runs(tmp_path):
    """Two models: the order of b and c differs; crisp cannot be on the second, pseudo was not run there."""
    for name, mAP in {"a": 10.0, "b": 20.0, "c": 30.0, "crisp": 50.0, "pseudo": 5.0}.items():
        write_row(tmp_path, name, mAP=mAP)
    for name, mAP in {"a": 1.0, "b": 3.0, "c": 2.0}.items():
        label = f"{name} (variant)" if name == "b" else name
        write_row(tmp_path, name, mAP=mAP, segmenter=OTHER, label=label, protocol=SHORTER)
    for segmenter in (TINY, OTHER):
        write_run(tmp_path, "joint", 0, mAP=60.0, steps=(60.0,), segmenter=segmenter)
    return tmp_path


def made(folder, *asked):
    return matrices(load_runs([folder]).runs, "mAP", *asked)


def texts(tables):
    """First table of the first matrix: head -> the cells behind it."""
    table = next(tables.tables(tables.matrices[0]))
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}, table


def test_rows_of_one_learner_are_one_line_whatever_the_model_trains_with(runs):
    (matrix, bound) = made(runs)  # joint ran on the second with the other's schedule: another protocol there
    assert matrix.segmenters == (TINY, OTHER)
    shown, table = texts(MatrixTables([matrix], WHY))
    assert shown == {
        "a": ["2", "10.00 ± 0.00", "1.00 ± 0.00"],
        "b": ["2", "20.00 ± 0.00", "3.00 ± 0.00*"],
        "c": ["2", "30.00 ± 0.00", "2.00 ± 0.00"],
        "crisp": ["2", "50.00 ± 0.00", "[1]"],
        "pseudo": ["2", "5.00 ± 0.00", "open"],
        "joint (upper bound)": ["1", "60.00", "open"],
    }
    assert table.notes == (
        "[1] not defined: the model offers no query_groups.",
        "open: no run of it yet.",
        "* a variant: the method is not as its paper has it.",
        "vistr_tiny trains with schedule.base.iterations = 5, not 10.",
    )
    best = {column: row[0].text for row in table.rows for column, cell in enumerate(row) if cell.rank == 1}
    assert best == {2: "crisp", 3: "b"}
    assert [row.name for row in bound.rows] == ["joint"]
    assert bound.differs == {"schedule.base.iterations": (10, 5)}


def test_a_backbone_of_a_shipped_step_0_stands_beside_random_weights_and_is_said(tmp_path):
    own = "backbone:shipped/cde46c50cf6f40fb"
    for segmenter, init in ((TINY, "random"), (OTHER, own), ("ctvis_tiny", "coco")):
        write_row(tmp_path, "a", mAP=1.0, segmenter=segmenter, protocol={"init": init})
    matrix, outside = made(tmp_path)
    assert matrix.segmenters == (TINY, OTHER)
    assert outside.segmenters == ("ctvis_tiny",)  # which has seen other videos
    assert texts(MatrixTables([matrix]))[1].notes == (f"vistr_tiny trains with init = '{own}', not 'random'.",)


def test_columns_are_correlated_by_the_learners_that_both_have_but_bounds(runs):
    (matrix, _) = made(runs)
    ((here, there, found),) = matrix.correlations()
    assert (here, there, found.n, found.lacks) == (TINY, OTHER, 3, "")
    assert found.tau == pytest.approx(1 / 3)  # ab and ac agree, bc is reversed
    assert (found.low, found.high) == pytest.approx((1 / 3, 1 / 3))  # both seeds are alike


def test_with_one_seed_somewhere_those_with_several_follow(runs):
    write_run(runs, "once", mAP=70.0)
    write_run(runs, "once", mAP=70.0, segmenter=OTHER, protocol=SHORTER)
    (matrix, *_) = made(runs)
    first, second = (found for *_, found in matrix.correlations())
    assert (first.n, first.low, first.lacks) == (4, None, "no interval: one seed")
    assert first.tau == pytest.approx(4 / 6)
    assert (second.n, second.lacks) == (3, "")


def test_asked_learners_and_segmenters_stand_in_their_order_also_without_a_run(runs):
    (matrix, *_) = made(runs, ["c", "new", "a"], ["ctvis_tiny", OTHER, TINY])
    assert matrix.segmenters == ("ctvis_tiny", OTHER, TINY)
    shown, _ = texts(MatrixTables([matrix]))
    assert list(shown) == ["c", "new", "a"]
    assert shown["new"] == ["0", "open", "open", "open"]
    lacks = [found.lacks for *_, found in matrix.correlations()]
    assert lacks == ["fewer than 2 in both", "fewer than 2 in both", ""]


@pytest.mark.parametrize(
    ("there", "apart"),
    [
        ({"init": "coco"}, {"init"}),  # no model's matter
        ({"schedule": {"scale": 0.5, "base": {"iterations": 10}}}, {"schedule.scale"}),
        ({"segmenter": {"type": "vistr"}, "sampling": {"num_frames": 6}}, None),
    ],
)
def test_what_no_model_decides_keeps_columns_apart(tmp_path, there, apart):
    write_row(tmp_path, "a")
    write_row(tmp_path, "a", segmenter=OTHER, protocol=there)
    found = made(tmp_path)
    assert len(found) == (2 if apart else 1)
    assert {key for matrix in found for key in matrix.differs} == (apart or set())


def test_other_settings_of_the_same_cell_stand_with_those_of_other_models(tmp_path):
    """As `cvis compare` has two blocks for each model."""
    for name, segmenter in ((TINY, TINY), (OTHER, OTHER)):
        for learner in "ab":
            write_row(tmp_path / name, learner, segmenter=segmenter)
        write_run(tmp_path / f"{name}-more", "a", segmenter=segmenter, protocol={"sampling": {"flip": 0.0}})
    most, changed = made(tmp_path)
    assert [matrix.segmenters for matrix in (most, changed)] == [(TINY, OTHER)] * 2
    assert [len(matrix.rows) for matrix in (most, changed)] == [2, 1]
    assert changed.differs == {"sampling.flip": (0.0, None)}
    text = render(MatrixTables([most, changed]))
    assert "another protocol, not comparable with the table above: sampling.flip = 0.0, elsewhere absent" in text


def test_programs_are_told_every_cell_with_its_state(runs):
    (matrix, *_) = made(runs)
    tables = MatrixTables([matrix], WHY)
    (content,) = json.loads(render(tables, "json"))["matrices"]
    cells = {row["learner"]: row["cells"][OTHER] for row in content["rows"]}
    assert cells["crisp"] == {"state": "undefined", "reason": WHY["crisp", OTHER]}
    assert cells["pseudo"] == {"state": "open"}
    assert cells["b"] | {"run_ids": 0} == {
        "state": "done",
        "variant": True,
        "seeds": [0, 1],
        "run_ids": 0,
        "mean": 3.0,
        "std": 0.0,
        "n": 2,
        "rank": 1,
    }
    assert content["correlations"][0]["tau"] == pytest.approx(1 / 3)
    lines = render(tables, "csv").splitlines()
    assert len(lines) == 1 + 6 * 2
    assert set(lines[0].split(",")) == {*tables.fields}
    for format in ("md", "latex", "html"):
        assert "query" in render(tables, format)


def test_the_map_says_what_is_best_and_why_a_cell_is_empty(runs, tmp_path):
    (matrix, *_) = made(runs)
    figure = matrix_heatmap(matrix, WHY)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == [
        *("10.0", "1.0", "20.0", "3.0*", "30.0", "2.0", "50.0", "not defined", "5.0", "no run", "60.0", "no run")
    ]
    bold = [text.get_text() for text in figure.axes[0].texts if text.get_weight() == "bold"]
    assert bold == ["3.0*", "50.0"]
    assert "Best: vistr_tiny b, mask2former_tiny crisp." in figure.get_label()
    written = write_plots(
        load_runs([runs]).runs, tmp_path / "out", kinds=("matrix",), metrics=("FR",), formats=("svg",)
    )
    assert [str(path.relative_to(tmp_path / "out")) for path in written.files] == ["synthetic-20-4/matrix-FR.svg"]


def test_what_is_measured_against_joint_training_needs_it_not_as_a_row(tmp_path):
    write_stream(tmp_path, "finetune")
    write_stream(tmp_path, "joint", ap={c: (50.0,) for c in AP})
    (matrix,) = matrices(load_runs([tmp_path]).runs, "intransigence", ["finetune"])
    (row,) = matrix.rows
    assert matrix.value(row, TINY).mean == pytest.approx((25 + 0 + 20) / 3)  # 50 less the AP of each step's classes


def test_one_model_makes_no_map(tmp_path):
    write_row(tmp_path, "a")
    result = CliRunner().invoke(app, ["plot", str(tmp_path), "--kind", "matrix", "--out", str(tmp_path / "f")])
    assert result.exit_code == 2
    assert "nothing to draw: these runs have nothing for matrix" in result.stderr


def test_the_page_has_a_part_for_streams_with_several_models(runs):
    write_row(runs, "a", scenario="synthetic-10-10")
    (models,) = build(load_runs([runs]), Options(videos=0, undefined=WHY)).models
    assert models.scenario == "synthetic-20-4"
    (first, *_) = models.options
    assert [table.title for table in first.tables] == [
        "mAP on synthetic-20-4",
        "Kendall's tau-b of two columns",
        "another protocol, not comparable with the table above: schedule.base.iterations = 10, not 5",
    ]
    ids = [table.id for option in models.options for table in option.tables]
    assert len({*ids}) == len(ids)
    assert len(models.figures) == 1
