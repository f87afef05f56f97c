"""Which trackers a run loads, where they write, and what they are told; stand-ins record the calls."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_args

import pytest
from tiny import settings

from cvis.engine.config import Logger
from cvis.engine.run import run
from cvis.engine.trackers import BACKENDS, build_visualizer
from cvis.errors import UserError

STAND_INS = {
    "wandb": """
        from calls import note
        def init(**kwargs): note("init", **kwargs)
        def log(scalars, commit): note("log", scalars=scalars)
        def finish(): note("finish")
    """,
    "mlflow": """
        from calls import note
        class MlflowException(Exception): ...
        def set_tracking_uri(uri): note("uri", uri=uri)
        def get_experiment_by_name(name): return None
        def create_experiment(name, artifact_location): note("create", name=name, place=artifact_location)
        def set_experiment(name): note("experiment", name=name)
        def set_tag(key, value): note("tag", key=key, value=value)
        def log_metrics(scalars, step): note("log", scalars=scalars, step=step)
        def end_run(): note("finish")
    """,
    "aim": """
        from calls import note
        class Repo:
            @classmethod
            def from_path(cls, path, init=False):
                assert init, "Aim makes no repository by itself"
                note("repo", path=path)
                return cls()
        class Run:
            def __init__(self, repo, experiment):
                assert isinstance(repo, Repo)
                note("init", experiment=experiment)
            def track(self, name, value, step): note("log", scalars={name: value}, step=step)
            def close(self): note("finish")
    """,
}
CALLS = """
    CALLS = []
    def note(what, **values): CALLS.append({"what": what, **values})
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The calls that stand-ins of all three trackers recorded."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for name, source in {**STAND_INS, "calls": CALLS}.items():
        (packages / f"{name}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(packages)
    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    import calls

    yield calls.CALLS
    for name in (*STAND_INS, "calls"):
        sys.modules.pop(name, None)


def one_run(stream, tmp_path, *loggers):
    chosen = settings(stream, tmp_path / "runs", "finetune", f"runtime.loggers={list(loggers)!r}")
    return run(chosen)


def check_scalars(calls):
    """Losses, learning rate and test results of every step arrive as numbers, and the tracker is closed last."""
    names = {name for call in calls if call["what"] == "log" for name in call["scalars"]}
    assert {f"step{t}/{name}" for t in range(3) for name in ("loss", "lr")} <= names
    assert "test/mAP_all" in names
    assert all(isinstance(v, float) for call in calls if call["what"] == "log" for v in call["scalars"].values())
    assert [call["what"] for call in calls].count("finish") == 1
    assert calls[-1]["what"] == "finish"


def test_wandb_is_offline_below_the_run(stream, tmp_path, calls):
    folder = one_run(stream, tmp_path, "wandb")
    name = "/".join(folder.parts[-4:])
    place = str(folder / "logs" / "vis_data")
    assert calls[0] == {"what": "init", "dir": place, "project": "cvis", "name": name, "mode": "offline"}
    check_scalars(calls)
    assert not {"mlflow", "aim"} & set(sys.modules)


def test_wandb_goes_online_when_the_environment_says_so(tmp_path, calls, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    build_visualizer(["wandb"], tmp_path / "run").add_scalars({"a": 1.0})
    assert calls[0]["mode"] == "online"


def test_mlflow_writes_a_database_below_the_run(stream, tmp_path, calls):
    folder = one_run(stream, tmp_path, "mlflow")
    place = folder / "logs" / "vis_data"
    uri = next(call["uri"] for call in calls if call["what"] == "uri")
    assert uri == f"sqlite:///{place}/mlflow.db"
    assert place.is_dir()
    create = next(call for call in calls if call["what"] == "create")
    assert create == {"what": "create", "name": "cvis", "place": f"file://{place}/artifacts"}
    assert {"what": "tag", "key": "mlflow.runName", "value": "/".join(folder.parts[-4:])} in calls
    check_scalars(calls)
    assert not {"wandb", "aim"} & set(sys.modules)


def test_mlflow_goes_to_the_server_of_the_environment(tmp_path, calls, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    build_visualizer(["mlflow"], tmp_path / "run").add_scalars({"a": 1.0})
    assert calls[0] == {"what": "uri", "uri": "http://server:5000"}
    assert next(call for call in calls if call["what"] == "create")["place"] is None


def test_aim_gets_a_repository_of_its_own(stream, tmp_path, calls, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder = one_run(stream, tmp_path, "aim")
    assert calls[0] == {"what": "repo", "path": str(folder / "logs" / "vis_data")}
    assert calls[1] == {"what": "init", "experiment": "/".join(folder.parts[-4:])}
    check_scalars(calls)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_tracker_is_closed_also_when_the_run_breaks(stream, tmp_path, calls, monkeypatch):
    def broken(*args, **kwargs):
        raise UserError("the disk is full")

    monkeypatch.setattr("cvis.engine.checkpoint.save", broken)
    with pytest.raises(UserError, match="disk is full"):
        one_run(stream, tmp_path, "wandb")
    assert calls[-1]["what"] == "finish"


def test_several_at_once_and_each_once(tmp_path, calls):
    visualizer = build_visualizer(["wandb", "aim", "wandb", "local"], tmp_path / "run")
    visualizer.add_scalars({"a": 0.5}, step=3)
    visualizer.close()
    assert [call["scalars"] for call in calls if call["what"] == "log"] == [{"a": 0.5}, {"a": 0.5}]
    (line,) = (tmp_path / "run" / "logs" / "vis_data" / "scalars.json").read_text().splitlines()
    assert json.loads(line) == {"a": 0.5, "step": 3}


@pytest.mark.parametrize("name", sorted(STAND_INS))
def test_a_tracker_that_is_not_installed_is_one_line(tmp_path, name):
    with pytest.raises(UserError, match=rf"runtime\.loggers: '{name}' is not installed; pip install {name}"):
        build_visualizer([name], tmp_path)


def test_an_unknown_tracker_is_refused_with_the_configuration(stream, tmp_path):
    with pytest.raises(UserError, match=r"runtime\.loggers\.0: 'neptune': not possible; choose 'tensorboard',"):
        settings(stream, tmp_path, "finetune", "runtime.loggers=['neptune']")
    assert set(get_args(Logger)) == set(BACKENDS)


def test_nothing_is_imported_that_was_not_chosen(tmp_path, calls):
    """In a process of its own: other tests have loaded TensorBoard."""
    code = f"""
        import sys
        from pathlib import Path
        from cvis.engine.trackers import build_visualizer
        build_visualizer(["local"], Path({str(tmp_path)!r})).add_scalars({{"a": 1.0}})
        sys.exit(bool({{"wandb", "mlflow", "aim", "tensorboard"}} & set(sys.modules)))
    """
    path = str(tmp_path / "packages")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r})\n{textwrap.dedent(code)}"],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0
