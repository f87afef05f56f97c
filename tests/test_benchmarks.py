"""`make bench`: what it writes of benchmarks that answer, fail, or say nothing that can be read."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from cvis.engine.environment import describe_environment

FAKES = {
    "good": 'print("talk"); print(\'{"ratios": [{"what": "a|b", "values": [0.2, 0.4], "aim": 0.25}]}\')',
    "bad": 'import sys; print("{}"); sys.exit("trouble: | no such frame")',
    "mute": "print('[]')",
    "made": "import sys; open('here', 'w').close(); assert '--json' not in sys.argv",
    "last": 'import os; print(\'{"ratios": [{"what": "x", "values": [%d]}]}\' % os.path.exists(\'here\'))',
}


@pytest.fixture
def run_all(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    before = set(sys.modules)
    import run_all

    found = json.dumps(describe_environment(torch.device("cpu")))
    monkeypatch.setattr(run_all, "ENVIRONMENT", f"print({found!r})")  # torch is imported here already
    yield run_all
    for name in {"run_all", "ratios", "timed_process"} - before:
        del sys.modules[name]


def test_every_benchmark_has_its_row_and_one_that_fails_stops_no_other(run_all, tmp_path):
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


def test_what_make_bench_runs_is_there(run_all):
    for benchmark in run_all.benchmarks(long=True):
        assert benchmark.prepares or (run_all.HERE / benchmark.command.split()[0]).is_file()
