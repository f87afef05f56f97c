"""The files of figures: equal bytes for equal runs, safe words from files, names, formats and refusals."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest
from plot_runs import STEPS, SVG, plotted_runs, saved, write_queries
from stream_runs import write_stream
from typer.testing import CliRunner

import cvis.report.plots as plots_package
from cvis.cli import app
from cvis.errors import UserError
from cvis.report.page.build import Options, build
from cvis.report.plots.curves import curves
from cvis.report.plots.heatmap import class_heatmap
from cvis.report.plots.output import inline_svg, save, write_plots
from cvis.report.plots.queries import query_map
from cvis.runs.find import load_runs


@pytest.fixture
def runs(tmp_path):
    return plotted_runs(tmp_path / "runs")


def test_equal_runs_give_equal_bytes_whatever_the_users_settings(runs, tmp_path):
    write_queries(tmp_path)
    draws = (lambda: curves(runs, "AR1"), lambda: class_heatmap(runs[:1]), lambda: query_map(tmp_path))
    for i, draw in enumerate(draws):
        save(draw(), tmp_path / f"{i}.svg")
        with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red"}):
            save(draw(), tmp_path / f"{i}again.svg")
        assert (tmp_path / f"{i}.svg").read_bytes() == (tmp_path / f"{i}again.svg").read_bytes()


@pytest.mark.parametrize(("name", "magic"), [("a.pdf", b"%PDF"), ("b.PNG", b"\x89PNG")])
def test_other_formats_are_equal_too(runs, tmp_path, name, magic):
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    save(curves(runs, "AR1"), first)
    save(curves(runs, "AR1"), second)
    assert first.read_bytes().startswith(magic)
    assert first.read_bytes() == second.read_bytes()


def test_svgs_of_one_page_share_no_id_and_can_be_read_aloud(runs):
    texts = [inline_svg(curves(runs), "one"), inline_svg(curves(runs), "other")]
    every: list[str] = []
    for text in texts:
        root = ElementTree.fromstring(text)
        ids = [e.get("id") for e in root.iter() if e.get("id")]
        every += ids
        used = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
        assert {*used} <= {*ids}
        assert root.get("width") == "100%"
        assert root.find(f"{SVG}title").text
        assert "finetune" in root.find(f"{SVG}desc").text
        assert root.get("role") == "img"
        assert "<!DOCTYPE" not in text
        assert "metadata" not in text
    assert len(every) == len({*every})


def test_what_comes_from_a_file_is_escaped(tmp_path):
    write_stream(tmp_path, label='</svg><script>alert("1")</script>', step_fields=STEPS)
    text = inline_svg(curves(load_runs([tmp_path]).runs), "a")
    ElementTree.fromstring(text)
    assert "<script" not in text


def test_dollars_in_a_name_are_no_formula(tmp_path):
    write_stream(tmp_path, label="a $x_1$ b", step_fields=STEPS)
    runs = load_runs([tmp_path]).runs
    assert "a $x_1$ b" in saved(curves(runs), tmp_path / "a.svg")
    assert "a $x_1$ b" in saved(class_heatmap(runs), tmp_path / "b.svg")


def test_files_are_sorted_by_stream_and_skipped_ones_have_a_reason(runs, tmp_path):
    write_queries(runs[0].path)
    written = write_plots(runs, tmp_path / "out", formats=("svg",))
    names = {path.relative_to(tmp_path / "out" / "synthetic-20-4" / "mask2former_tiny").name for path in written.files}
    crisp = "crisp-random-text-encoder"
    assert names == {
        *("curves.svg", "tradeoff.svg", "cost.svg", "heatmap-finetune.svg", "heatmap-joint.svg"),
        *(f"heatmap-{crisp}.svg", f"query-map-{crisp}.svg", f"query-covariance-{crisp}.svg"),
    }
    (reason,) = written.skipped.values()
    assert "queries.npz in the runs of finetune, joint" in reason


def test_a_name_in_a_file_is_no_way_out_of_the_folder(tmp_path):
    folder = write_stream(tmp_path / "runs", step_fields=STEPS)
    text = (folder / "metrics.json").read_text().replace('"synthetic-20-4"', '"../../../escaped"')
    (folder / "metrics.json").write_text(text)
    written = write_plots(load_runs([folder]).runs, tmp_path / "deep" / "out", kinds=("curves",), formats=("svg",))
    assert [path.relative_to(tmp_path / "deep" / "out").parts[0] for path in written.files] == ["escaped"]


def test_one_figure_goes_to_one_file(runs, tmp_path):
    write_plots(runs, tmp_path / "a.pdf", kinds=("curves",))
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(UserError, match="one file for 3 figures"):
        write_plots(runs, tmp_path / "a.pdf", kinds=("heatmap",))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kinds": ("pie",)}, "--kind pie: .*choose one of cost, curves"),
        ({"formats": ("jpg",)}, "--format jpg: .*did you mean 'png'"),
        ({"metrics": ("FID",)}, "--metric FID: .*choose one of mAP_all"),
        ({"kinds": ("cost",), "metrics": ("AP",)}, "no choice of metrics"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_written(runs, tmp_path, options, says):
    with pytest.raises(UserError, match=says):
        write_plots(runs, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_names_the_known(runs, tmp_path):
    for draw in (lambda path: write_plots(runs, path, kinds=("curves",)), lambda path: save(curves(runs), path)):
        with pytest.raises(UserError, match=r"'\.jpg': not a format; end the name in \.svg, \.pdf or \.png"):
            draw(tmp_path / "a.jpg")


def test_a_metric_chooses_where_it_is_known(runs, tmp_path):
    written = write_plots(runs, tmp_path / "out", kinds=("curves", "tradeoff"), metrics=("FR",), formats=("svg",))
    assert [path.name for path in written.files] == ["tradeoff-FR.svg"]


def test_figures_need_neither_torch_nor_a_network(runs, tmp_path):
    code = f"""
import socket, sys
from pathlib import Path
def refuse(*args, **kwargs): raise AssertionError("network")
socket.socket.connect = refuse
from cvis.runs.find import load_runs
from cvis.report.plots.output import write_plots
write_plots(load_runs([{str(runs[0].path)!r}]).runs, Path({str(tmp_path / "o.svg")!r}), ("curves",))
assert "torch" not in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_that_declares_a_plot_is_drawn_and_shown_on_the_page(runs, tmp_path, monkeypatch):
    """Nothing else names it: the kinds are those that lie in the folder."""
    path = tmp_path / "modules"
    path.mkdir()
    (path / "pie.py").write_text(
        "from cvis.report.plots.plot import Drawing, Plot\n"
        "from cvis.report.plots.style import new_figure\n"
        "def draw():\n"
        "    return new_figure(2, 2, 'Pie', 'No axes.')\n"
        "PLOT = Plot('pie', 'a share of each', lambda rows, metrics, among: [Drawing('pie', draw, 'Shares.')],\n"
        "            section='results')\n"
    )
    monkeypatch.setattr(plots_package, "__path__", [*plots_package.__path__, str(path)])
    written = write_plots(runs, tmp_path / "a.svg", kinds=("pie",))
    assert written.files == (tmp_path / "a.svg",)
    (panel,) = build(load_runs([tmp_path / "runs"]), Options(videos=0)).panels
    assert [figure.caption for figure in panel.figures if "Pie" in figure.svg] == ["Shares."]
    assert "a share of each" in CliRunner().invoke(app, ["plot", "--help"]).stdout


def test_the_kinds_are_named_without_matplotlib():
    code = "import sys; from cvis.report.plots.plot import plots; plots(); sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
