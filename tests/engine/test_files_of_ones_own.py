"""A learner and a segmenter that are classes in files: run, resumed and opened from wherever the files are named."""

from __future__ import annotations

import json
import shutil

import pytest

from cvis.engine.predict import load_trained
from cvis.engine.resolve import resolve
from cvis.engine.run import run
from cvis.engine.sweep import plan, refuse_unbuildable
from cvis.errors import UserError
from cvis.files import shipped
from cvis.runs.sweep_file import Row, Sweep

SMALL = (
    *("runtime.device=cpu", "runtime.loggers=[]", "schedule.batch_size=2", "sampling.short_sides=[32]"),
    *("schedule.base.iterations=2", "schedule.incremental.iterations=2"),
)


def test_a_run_of_files_is_made_resumed_opened_and_swept(stream, tmp_path, monkeypatch):
    for file in ("learner/my_method.py", "segmenter/my_model.py"):  # what `cvis learners new` begins with
        shutil.copy(shipped("templates") / file, tmp_path)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)

    def configured(above: str = ""):
        learner, segmenter = f"{above}my_method.py:MyMethod", f"{above}my_model.py:MyModel"
        settings = [*SMALL, f"runtime.runs={tmp_path}/runs"]
        return resolve(str(stream), learner, segmenter, schedule="tiny", overrides=settings)

    folder = run(configured())
    assert folder == tmp_path / "runs" / "tiny" / "MyModel" / "MyMethod" / "seed0"
    assert load_trained(folder, trust=True).classes == {1: "red", 2: "green", 3: "blue", 4: "grey"}
    first = json.loads((folder / "metrics.json").read_text())

    monkeypatch.chdir(tmp_path / "below")
    with pytest.raises(UserError, match=r"my_model.py: no such file; there is no .*/below/my_model.py, give path/to"):
        load_trained(folder, trust=True)
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "step2")
    assert run(configured(above="../")) == folder
    assert load_trained(folder, trust=True).step == 2
    assert json.loads((folder / "metrics.json").read_text())["final"] == first["final"]

    rows = [Row(name="mine", learner="../my_method.py:MyMethod", settings=["learner.weight=2"])]
    planned = plan(Sweep(name="own", scenario=str(stream), rows=rows), [0], segmenter="../my_model.py:MyModel")
    refuse_unbuildable(planned)
    assert planned[0].config.learner == {"type": "../my_method.py:MyMethod", "weight": 2.0}
