"""Opening someone's results never runs their code."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cvis.cli import app
from cvis.engine.command import rebuilt_command
from cvis.errors import UserError
from cvis.learners import LEARNERS
from cvis.plugins import Origin
from cvis.runs.folder import RunWriter, locked
from cvis.segmenters.backbone import build_backbone

CLI = CliRunner()
HTML = "<script>alert(1)</script>"


class Program:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def trace(tmp_path) -> Path:
    """What any of the hostile files would make."""
    return tmp_path / "code was run"


@pytest.fixture
def hostile(finished, tmp_path, trace) -> Path:
    """A finished run with a trap in every file that might be one."""
    folder = shutil.copytree(finished, tmp_path / "runs" / finished.relative_to(finished.parents[3]))
    code = f"import os\nos.mkdir({str(trace)!r})\n"
    (folder / "config.py").write_text(code)
    (folder / "mine.py").write_text(code + "class Mine: pass\n")
    np.savez(folder / "queries.npz", queries=np.array([Program(trace)], object), step=np.zeros(1, int))
    (folder / "step2" / "model.pth").write_bytes(pickle.dumps(Program(trace)))
    (folder / "step2" / "last.pth").write_bytes(pickle.dumps(Program(trace)))
    traps = {"segmenter": str(folder / "mine.py"), "schedule": "../" * 20 + str(folder / "mine"), "run": HTML}

    def spring(record) -> None:
        record.update(command=None, text_encoder=None, environment={"platform": HTML, "gpu": "\x1b[2J"})
        record["config"]["names"].update(traps)
        record["config"]["learner"]["type"] = f"{folder}/mine.py:Mine"

    edit(folder / "run.json", spring)
    edit(folder / "metrics.json", lambda metrics: metrics.update(learner=HTML, label=HTML))
    return folder


READING = [
    ("compare", "RUN", "--format", "html"),
    ("steps", "RUN"),
    ("plot", "RUN", "--out", "OUT"),
    ("report", "RUN", "--out", "OUT"),
    ("reproducibility", "RUN", "--json"),
    ("reproducibility", "RUN"),
    ("explain", "RUN"),
    ("visualize", "RUN", "--list"),
    ("visualize", "RUN", "--video", "1", "--out", "OUT.png"),
    ("export", "RUN", "--results", "--out", "OUT.json"),
    ("predict", "RUN", "VIDEO", "--out", "OUT.json", "--device", "cpu"),
]


def test_every_reading_command_leaves_its_code_alone(hostile, stream, tmp_path, trace):
    """A stranger's run full of programs: every reading command reads it, and none of them runs."""
    places = {"RUN": hostile, "OUT": tmp_path / "out", "VIDEO": stream.parent / "test" / "v000"}
    read = 0
    for command in READING:
        words = [str(places.get(word, word)).replace("OUT.", f"{tmp_path}/out.") for word in command]
        result = CLI.invoke(app, words)
        assert not trace.exists(), command
        assert result.exit_code in (0, 2), (command, result.exception)
        assert HTML not in result.stdout or command[0] not in ("compare", "report"), command
        assert "\x1b" not in result.output, command
        read += result.exit_code == 0
    assert read >= 8, "these commands should have been able to read the run"
    assert HTML not in (tmp_path / "out" / "index.html").read_text()


def test_a_python_file_that_a_run_names_is_run_with_trust_alone(hostile, stream, tmp_path, trace):
    """A run that names a Python file as its learner: `cvis predict` refuses it without --trust."""
    command = ["predict", str(hostile), str(stream.parent / "test" / "v000"), "--out", str(tmp_path / "o.json")]
    refused = CLI.invoke(app, command)
    assert refused.exit_code == 2
    assert f"{hostile}/mine.py:Mine" in refused.stderr
    assert "is a Python file, which would be run; read it, and give --trust" in refused.stderr
    assert not trace.exists()
    assert CLI.invoke(app, [*command, "--trust"]).exit_code == 2  # Mine is no learner: but that is known by running it
    assert trace.exists()


def test_the_package_whose_code_is_loaded_is_named(hostile, stream, monkeypatch, caplog):
    """A run of a package's learner: `cvis predict` says whose code it runs."""
    monkeypatch.setattr(LEARNERS, "origin", lambda name: Origin(name, "their-package", "1.2"))
    edit(hostile / "run.json", lambda record: record["config"]["learner"].update(type="finetune"))
    CLI.invoke(app, ["predict", str(hostile), str(stream.parent / "test" / "v000"), "--device", "cpu"])
    assert caplog.messages == ["running the code of learner finetune of package their-package 1.2"]


def test_a_checkpoint_that_is_a_program_is_refused(hostile, stream, trace):
    """A model.pth that is a program: one line."""
    edit(hostile / "run.json", lambda record: record["config"]["learner"].update(type="finetune"))
    result = CLI.invoke(app, ["predict", str(hostile), str(stream.parent / "test" / "v000"), "--device", "cpu"])
    assert result.exit_code == 2
    assert "step2/model.pth: is not a readable checkpoint" in result.stderr
    assert not trace.exists()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"type": "os.mkdir", "path": "TRACE"}, "'os.mkdir': cannot be built: it is no registered name"),
        ({"type": "mmdet.os.mkdir"}, "no registered name"),
        ({"type": "ConvBackbone", "norm": [{"type": "builtins.print"}]}, "'builtins.print': cannot be built"),
        ({"type": "ResNet", "depth": 18, "init_cfg": {"type": "Pretrained", "checkpoint": "x.pth"}}, "use --init PATH"),
        ({"type": "ResNet", "depth": 18, "pretrained": "x.pth"}, "pretrained: 'x.pth': weights cannot be named here"),
    ],
)
def test_a_backbone_is_a_registered_one(config, says, trace):
    """A backbone that spells a function or a checkpoint: refused by name."""
    config = {key: str(trace) if value == "TRACE" else value for key, value in config.items()}
    with pytest.raises(UserError, match=says):
        build_backbone(config)
    assert not trace.exists()


@pytest.mark.parametrize("part", ["segmenter", "schedule", "preset", "learner", "scenario"])
def test_a_command_is_rebuilt_from_our_own_files_alone(hostile, finished, trace, part):
    """A record that names a stranger's configuration: `cvis reproducibility` rebuilds no command from it."""
    record = json.loads((finished / "run.json").read_text())
    assert rebuilt_command(record, [0])
    path = os.path.relpath(hostile / "mine", Path("configs/schedules").resolve())
    for name in (str(hostile / "mine.py"), str(hostile / "mine"), path, f"{hostile}/mine.py:Mine"):
        if part == "scenario":
            record["scenario"] = name
        else:
            record["config"]["names"][part] = name
        assert rebuilt_command(record, [0]) is None
    assert not trace.exists()


def test_a_lock_that_is_a_link_empties_no_other_file(tmp_path):
    """A lock that is a link: the other file keeps its content."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(precious)
    with locked(tmp_path / "run"):
        pass
    assert precious.read_text() == "mine"


def test_a_run_does_not_write_where_a_link_leads(tmp_path):
    """A step folder that links elsewhere: the run refuses to go on in it."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "step0").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match=r"run/step0: is a link to .*precious, and a run writes in its own folder only"):
        RunWriter(tmp_path / "run", {}, "", {}, decisive=dict)
    assert not list((tmp_path / "precious").iterdir())
