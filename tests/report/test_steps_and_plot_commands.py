"""``cvis steps`` and ``cvis plot`` as a user types them."""

from __future__ import annotations

import csv
import json

import pytest
from stream_runs import AP, write_stream
from typer.testing import CliRunner

from cvis.cli import app

STEPS = {"APs": (1.0, 2.0, 3.0), "APm": (4.0, 5.0, 6.0), "APl": (7.0, 8.0, 9.0), "mAP_all": (1.5, 2.5, 3.5)}


@pytest.fixture
def runs(tmp_path):
    write_stream(tmp_path / "runs", step_fields=STEPS)
    return tmp_path / "runs"


def call(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments):
    """The one line that a mistake ends in."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.splitlines()[-1]


def test_steps_prints_the_sizes_at_every_step(runs):
    _, heading, row = call("steps", runs).stdout.splitlines()[:3]
    assert heading.split("  ")[-1].strip() == "step 2 APl"
    assert row.split()[-9:] == ["1.00", "4.00", "7.00", "2.00", "5.00", "8.00", "3.00", "6.00", "9.00"]


def test_steps_writes_metrics_and_steps_apart_for_scripts(runs, tmp_path):
    call("steps", runs, "--out", tmp_path / "a.csv", "--metric", "APm")
    lines = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [(line["metric"], line["step"], line["mean"]) for line in lines] == [
        ("APm", "0", "4.0"),
        ("APm", "1", "5.0"),
        ("APm", "2", "6.0"),
    ]
    content = json.loads(call("steps", runs, "--json").stdout)
    assert [*content["per_step"]] == ["APs", "APm", "APl"]


def test_steps_per_class_prints_the_matrix(runs, tmp_path):
    title, heading, ape = call("steps", runs, "--per-class").stdout.splitlines()[:3]
    assert title == "synthetic-20-4  mask2former_tiny  finetune  AP  seeds 0"
    assert heading.split()[0] == "class"
    assert ape.split() == ["ape", "0", "40.00", "30.00", "20.00", "40.00", "20.00"]
    content = json.loads(call("steps", runs, "--per-class", "--json").stdout)
    assert content["per_class"][0]["forgetting"][0]["forgetting"] == 20
    call("steps", runs, "--per-class", "--out", tmp_path / "a.md")
    assert (tmp_path / "a.md").read_text().startswith("### synthetic-20-4")


def test_steps_refuses_what_it_cannot_write(runs):
    assert "--format xls: no such format" in refused("steps", runs, "--per-class", "--format", "xls")
    assert "--metric nope" in refused("steps", runs, "--metric", "nope")


def test_plot_writes_svg_and_pdf_and_names_what_it_skipped(runs, tmp_path):
    result = call("plot", runs, "--kind", "curves", "--kind", "queries", "--metric", "mAP_all", "--out", tmp_path / "f")
    folder = tmp_path / "f" / "synthetic-20-4" / "mask2former_tiny"
    assert result.stdout.split() == [str(folder / "curves.svg"), str(folder / "curves.pdf")]
    assert "skipped" in result.stderr
    assert "queries.npz" in result.stderr


def test_plot_as_json_names_files_and_reasons(runs, tmp_path):
    broken = tmp_path / "runs" / "broken"
    broken.mkdir()
    (broken / "metrics.json").write_text("{")
    arguments = ("plot", runs, "--kind", "curves", "--metric", "mAP_all", "--out", tmp_path / "a.svg")
    content = json.loads(call(*arguments, "--json").stdout)
    assert content["written"] == [str(tmp_path / "a.svg")]
    assert content["skipped"] == []
    assert content["left_out"][0]["path"] == str(broken / "metrics.json")
    assert "1 runs were left out" in refused(*arguments, "--strict")


def test_plot_without_a_run_or_a_figure_is_an_error(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no finished run found" in refused("plot", tmp_path / "empty")
    assert "nothing to draw" in refused("plot", runs, "--kind", "queries", "--out", tmp_path / "f")
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("command", ["steps", "plot"])
def test_help_shows_examples(command):
    assert f"cvis {command} runs" in call(command, "--help").stdout


def test_a_joint_run_alone_has_a_table_of_classes(tmp_path):
    write_stream(tmp_path, "joint", ap={c: (5.0,) for c in AP})
    heading = call("steps", tmp_path, "--per-class").stdout.splitlines()[1]
    assert heading.split() == ["class", "new", "at", "step", "0", "best", "forgetting"]
