"""`make bench`: what it writes of benchmarks that answer, fail, or say nothing that can be read; tables and sums."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from cvis.engine.environment import describe_environment
from cvis.scenario.spec import find_scenario, read_spec

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FAKES = {
    "good": 'print("talk"); print(\'{"ratios": [{"what": "a|b", "values": [0.2, 0.4], "aim": 0.25}]}\')',
    "bad": 'import sys; print("{}"); sys.exit("trouble: | no such frame")',
    "mute": "print('[]')",
    "made": "import sys; open('here', 'w').close(); assert '--json' not in sys.argv",
    "last": 'import os; print(\'{"ratios": [{"what": "x", "values": [%d]}]}\' % os.path.exists(\'here\'))',
}


@pytest.fixture
def load(monkeypatch):
    """Import a benchmark by its name; none of them stays."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").exists():
            del sys.modules[name]


def test_every_benchmark_has_its_row_and_one_that_fails_stops_no_other(load, tmp_path, monkeypatch):
    run_all = load("run_all")
    found = json.dumps(describe_environment(torch.device("cpu")))
    monkeypatch.setattr(run_all, "ENVIRONMENT", f"print({found!r})")  # torch is imported here already
    for name, code in FAKES.items():
        (tmp_path / f"{name}.py").write_text(code)
    asked = [run_all.Benchmark(f"{tmp_path}/{name}.py --frames 2", prepares=name == "made") for name in FAKES]
    assert run_all.run_all(asked, tmp_path / "RESULTS.md") == 1
    page = (tmp_path / "RESULTS.md").read_text()
    head = page.partition("| benchmark |")[0]
    assert "| good | a\\|b | 0.30 (0.20 to 0.40) | 0.25 | **missed** |" in page
    assert "| bad | **failed**: trouble: \\| no such frame | | | |" in page
    assert "| mute | **failed**: its last line has no ratios: [] | | | |" in page
    assert "| last | x | 1.00 |  |  |" in page
    assert f"torch {version('torch')}" in head
    assert "- commit: " in head
    assert f"    python {tmp_path}/made.py --frames 2\n" in page
    assert run_all.run_all(asked[:1], tmp_path / "RESULTS.md") == 0


def test_what_make_bench_runs_is_there(load):
    run_all = load("run_all")
    for benchmark in run_all.benchmarks(long=True):
        assert benchmark.prepares or (run_all.ROOT / benchmark.command.split()[0]).is_file()
    assert doctest.testmod(load("ratios")).failed == 0


def test_hours_of_a_protocol(load):
    """By hand, of 20-4 of YouTube-VIS 2019: 461 test videos of 30 frames, 1,500 iterations and five times 600."""
    spec = read_spec(find_scenario("ytvis2019-20-4"))
    rows = load("protocol_cost").costs(spec, rates=(2, 10), relative={"crisp": 0.5}, frames=30)
    hours = {row.learner: row.hours * 3600 for row in rows}
    assert hours["step 0"] == pytest.approx(1500 / 2)
    assert hours["finetune"] == pytest.approx(3000 / 2 + 6 * 461 * 30 / 10)
    assert hours["crisp"] == pytest.approx(3000 * 0.5 / 2 + 1.5 * 461 * 30 / 10)
    assert hours["joint"] == pytest.approx(4500 / 2 + 461 * 30 / 10)


def test_how_cost_grows_is_told_from_points(load):
    growth = load("growth")
    axis = growth.Axis("eggs", "boiling", (1, 10, 100), growth.frames)
    table = growth.table({axis: [growth.Point(2, 1), growth.Point(3, 1), growth.Point(300, 7.6)]})
    assert table.splitlines()[2] == "| eggs: 1, 10, 100 | boiling | 1.0, 1.5, 150 | 1, 1, 8 | 2.0 |"


@pytest.mark.parametrize("folder", ["benchmarks", "scripts"])
def test_what_they_import_of_ours_is_there(folder):
    """Also what is imported only when a part of it runs, which no other test may do."""
    missing = []
    for file in sorted((BENCHMARKS.parent / folder).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "cvis":
                module = importlib.import_module(str(node.module))
                names = [name.name for name in node.names if not hasattr(module, name.name)]
                missing += [f"{file.name}: {node.module}.{name}" for name in names if not _is_module(node.module, name)]
    assert missing == []


def _is_module(package: str, name: str) -> bool:
    try:
        return importlib.util.find_spec(f"{package}.{name}") is not None
    except ModuleNotFoundError:  # what should hold it is no package
        return False


def test_outlines_of_a_video_are_drawn_by_what_the_others_teach(load, monkeypatch):
    """Discs on plain ground: colours tell their rims, and no video teaches itself."""
    outlines = load("outlines")
    y, x = torch.meshgrid(torch.arange(32), torch.arange(48), indexing="ij")
    objects = {}
    for video in range(4):
        inside = (y - 15.2 - video) ** 2 + (x - 22.6) ** 2 < 11.3**2
        share = torch.nn.functional.avg_pool2d(inside.float()[None, None], 4)[0, 0]
        frame = torch.where(inside, 190, 70).to(torch.uint8).expand(3, -1, -1)
        objects[video] = [(2 * (2 * share - 1).clamp(-0.999, 0.999).atanh(), inside, frame, (32, 48))]
    row = outlines.compared(objects)
    assert (row["videos"], row["better"], row["worse"]) == (4, 4, 0)
    assert row["drawn"] > row["bilinear"] > 0.9
    taught, fitted = [], outlines.fitted
    monkeypatch.setattr(outlines, "fitted", lambda moments, toward: taught.append(moments) or fitted(moments, toward))
    outlines.compared(objects)
    own = [sum(outlines.moments_of(*outlines.rim(*one)) for one in objects[video]) for video in range(4)]
    for video in range(4):
        assert torch.allclose(taught[video], sum(own[:video] + own[video + 1 :]))
