"""A hundred ways to spoil a file: each ends in one line that names it, or is accepted because it is valid.

``record_property`` counts them for docs/reliability.md.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import mutated_annotations
import mutated_binaries
import mutated_results
import mutated_runs
import pytest
import torch
from run_folders import write_run
from small_files import STREAM, Mutation, annotations, results, written
from tiny import settings
from typer.testing import CliRunner

from cvis.cli import app
from cvis.engine import checkpoint
from cvis.engine.command import rebuilt_command
from cvis.engine.config import fingerprint
from cvis.engine.resolve import resolve
from cvis.errors import UserError
from cvis.evaluation import json_stream
from cvis.runs.open import open_run, scenario_of
from cvis.runs.provenance import read_provenance
from cvis.runs.queries import read_queries

CLI = CliRunner()


def each(mutations: list[Mutation]):
    assert len({mutation.name for mutation in mutations}) == len(mutations)
    return pytest.mark.parametrize("mutation", mutations, ids=[m.name.replace(" ", "-") for m in mutations])


@pytest.fixture(autouse=True)
def _counted(request, record_property):
    if "mutation" in request.fixturenames:
        record_property("mutations", 1)


def called(*arguments: object) -> str:
    """What a command prints; what it refuses, it refuses in one line and with the exit code 2."""
    result = CLI.invoke(app, [str(argument) for argument in arguments])
    if result.exit_code == 0:
        return result.stdout
    assert result.exit_code == 2, result.exception
    assert len(result.stderr) < 2500
    assert result.stderr.count("\n") == 1
    raise UserError(result.stderr.strip())


def check(mutation: Mutation, path: Path, read, *others: object) -> object:
    """What is read where the mutation is valid, else None: the refusal names the file, or what it names itself."""
    if mutation.says is None:
        return read()
    with pytest.raises(UserError, match=mutation.says) as refused:
        read()
    assert any(str(name) in str(refused.value) for name in (path.name, *others))
    return None


def scored(folder: Path) -> dict[str, float]:
    command = ("score", "--ann", folder / "instances.json", "--pred", folder / "results.json", "--json", "--per-class")
    return json.loads(called(*command))


def two_files(folder: Path) -> Path:
    """Ground truth and results, both valid."""
    (folder / "instances.json").write_text(json.dumps(annotations()))
    (folder / "results.json").write_text(json.dumps(results()))
    return folder


@pytest.fixture
def scores(tmp_path) -> Path:
    return two_files(tmp_path)


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> dict[str, float]:
    return scored(two_files(tmp_path_factory.mktemp("valid")))


def test_what_is_valid_is_scored(valid):
    assert valid["mAP"] == pytest.approx((100 + 50) / 2, abs=0.6)  # half of the cats, at 51 of 101 recalls


@each(mutated_annotations.MUTATIONS)
def test_annotations(scores, valid, mutation):
    """An annotation file that is spoiled (types, ids, masks, names, sizes): one line, or the same scores."""
    path = written(scores / "instances.json", mutation, annotations())
    numbers = check(mutation, path, lambda: scored(scores))
    assert numbers is None or numbers == valid


@each(mutated_results.MUTATIONS)
def test_results(scores, valid, mutation, monkeypatch):
    """A results file that is spoiled (also endless blanks and entries, cut gzip): one line, or the same scores."""
    monkeypatch.setattr(json_stream, "LONGEST", 1 << 19)
    monkeypatch.setattr(json_stream, "CHUNK", 1 << 14)
    path = written(scores / "results.json", mutation, results())
    numbers = check(mutation, path, lambda: scored(scores))
    assert numbers is None or (numbers["mAP"] == mutation.mAP if mutation.mAP is not None else numbers == valid)


@each(mutated_runs.SCENARIO)
def test_scenarios(scores, mutation):
    """A stream file that is spoiled: one line that names the field."""
    path = scores / "small.toml"
    new = mutation.change(STREAM)
    path.write_bytes(new)
    read = partial(called, "scenario", "show", path, "--json")
    shown = check(mutation, path, lambda: json.loads(read()), f"{path.parent}: the annotation file", "/dev/zero: is a")
    assert shown is None or [len(step["classes"]) for step in shown["steps"]] == [1, 1]


@each(mutated_runs.CONFIG)
def test_configurations(tmp_path, mutation):
    """A configuration that is spoiled: one line that names the file."""
    path = written(tmp_path / "mine.py", mutation, None)
    config = check(mutation, path, lambda: resolve("synthetic-20-4", "finetune", schedule=str(path)))
    assert config is None or config.schedule == resolve("synthetic-20-4", "finetune", schedule="default").schedule


@each(mutated_runs.METRICS)
def test_metrics(tmp_path, mutation):
    """A metrics.json that is spoiled: one line, or a table with the same numbers and no markup."""
    path = write_run(tmp_path) / "metrics.json"
    written(path, mutation, json.loads(path.read_text()))
    shown = check(mutation, path, lambda: called("compare", path.parent, "--format", "html"))
    assert shown is None or ("10.0" in shown and "<script>" not in shown)


@each(mutated_runs.STEP)
def test_metrics_of_a_step(run, mutation):
    """A step's metrics.json that is spoiled: one line."""
    path = run / "step1" / "metrics.json"
    written(path, mutation, json.loads(path.read_text()))
    check(mutation, path, lambda: open_run(run).learned)


@pytest.fixture
def run(stream, tmp_path) -> Path:
    """A finished run on the tiny stream, as far as its JSON files go."""
    folder = write_run(tmp_path, scenario="tiny")
    values = settings(stream, tmp_path).model_dump(mode="json")
    record = {"schema": 1, "status": "done", "wall_s": 1.0, "config": values, "scenario": "tiny"}
    (folder / "run.json").write_text(json.dumps({**record, "scenario_hash": scenario_of(values).hash}))
    return folder


@each(mutated_runs.RECORD)
def test_records(run, mutation):
    """A run.json that is spoiled: one line."""
    path = written(run / "run.json", mutation, json.loads((run / "run.json").read_text()))

    def read():
        provenance = read_provenance(run)
        rebuilt_command(provenance.record, [0])
        opened = open_run(run)
        return opened.name, opened.scenario().name, called("reproducibility", run)

    found = check(mutation, path, read, "scenario: ", "scenario file", "tiny.toml: ", "seed0: scenario_hash")
    assert found is None or found[1] == "tiny"


@each(mutated_runs.OLD_CONFIG)
def test_configurations_of_older_versions(run, mutation):
    """A stranger's config.py: read as literals, never run; anything else is one line."""
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "config": fingerprint(record["config"])}))
    path = written(run / "config.py", mutation, None)
    check(mutation, path, lambda: open_run(run).scenario())


@each(mutated_binaries.CHECKPOINT)
def test_checkpoints(tmp_path, mutation):
    """A checkpoint that is spoiled, a program or a bomb: one line."""
    module = torch.nn.Linear(2, 2)
    path = tmp_path / "model.pth"
    content = {"state": {name: value.clone() for name, value in module.state_dict().items()}}
    new = mutation.change(content)
    path.write_bytes(mutated_binaries.saved(content) if new is None else new)
    check(mutation, path, lambda: checkpoint.load_state(module, checkpoint.overlay([path]), path))
    assert not Path("/nonexistent").exists()


@each(mutated_binaries.QUERIES)
def test_queries(tmp_path, mutation):
    """A file of queries that is spoiled: one line."""
    path = written(tmp_path / "queries.npz", mutation, None)
    check(mutation, path, lambda: read_queries(tmp_path))
