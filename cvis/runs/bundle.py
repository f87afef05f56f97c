"""Finished runs as one file to send: what their numbers can be checked with, and nothing of the machine they ran on."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.files import read_toml, zip_entry
from cvis.runs.open import OpenRun, open_run
from cvis.runs.paths import RunFolder
from cvis.runs.provenance import portable, shortened
from cvis.runs.record import AGAIN, parse_json, read_bytes
from cvis.runs.result import RunResult
from cvis.runs.unbundle import SUFFIX, SUMS
from cvis.scenario.make import as_toml
from cvis.scenario.spec import find_scenario, list_scenarios


def write_bundle(runs: Sequence[RunResult], out: Path) -> None:
    """Write a zip file of the runs' records, metrics, digests and predictions; equal runs give equal bytes.

    Neither weights nor logs. Absolute paths keep their last part only: a ``metrics.json`` without any is the run's own
    to the byte, so that the run keeps its id.

    Raises:
        UserError: ``out`` is no name of a zip file; a run lacks a file, or takes another's place; the file system
            refuses the write.
    """
    if out.suffix != SUFFIX:
        raise UserError(f"--out {out}: is not the name of a bundle; end it in {SUFFIX}")
    files: dict[str, Path | bytes] = {}
    for run in runs:
        place = "/".join(map(_folder, (run.scenario, run.segmenter, run.learner, f"seed{run.seed}")))
        for name, content in _files(open_run(run.path), run):
            if f"{place}/{name}" in files:
                raise UserError(f"{run.path}: has the place {place} of another run; put them into two bundles")
            files[f"{place}/{name}"] = content
    files = dict(sorted(files.items()))
    sums = "".join(f"{hashlib.sha256(_read(content)).hexdigest()}  {name}\n" for name, content in files.items())
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(zip_entry(SUMS), sums)
        for name, content in files.items():
            archive.writestr(zip_entry(name), _read(content))


def _folder(name: str) -> str:
    """A name as :data:`cvis.runs.unbundle.NAME` has it."""
    return re.sub(r"^[.-]|[^A-Za-z0-9._+=,-]", "_", name)[:100]


def _read(content: Path | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _files(run: OpenRun, result: RunResult) -> Iterator[tuple[str, Path | bytes]]:
    """Name within the run's folder, and content; of what may be large, its place."""
    folder, within = run.folder, RunFolder(Path())
    config = run.placed
    if config["scenario"] not in list_scenarios():
        file = find_scenario(config["scenario"])
        fields = {"name": file.stem, **read_toml(file)}
        yield str(within.stream), as_toml(without_places(fields)).encode()
        config = {**config, "scenario": within.stream.name}
    runtime = {**config["runtime"], "runs": "runs", "data": None}
    record = without_places({**run.record, "config": {**config, "runtime": runtime}})
    if isinstance(command := run.record.get("command"), str):
        record["command"] = portable(command)
    yield str(within.record), _as_json(record)
    yield str(within.metrics), _metrics(folder.metrics)
    if folder.queries.is_file():
        yield str(within.queries), folder.queries
    for index in range(len(result.steps)):
        step, there = folder.step(index), within.step(index)
        yield str(there.metrics), _metrics(step.metrics)
        yield str(there.predictions), run.predictions(index)
        if step.digest.is_file():  # runs older than the file have none
            yield str(there.digest), step.digest


def _metrics(path: Path) -> bytes:
    if (text := read_bytes(path)) is None:
        raise UserError(f"{path}: does not exist; {AGAIN}")
    content = parse_json(path, text)
    without = without_places(content)
    return text if without == content else _as_json(without)


def _as_json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def without_places(value: Any) -> Any:
    """Plain values in which no text is an absolute path.

    >>> without_places({"type": "/home/me/mine.py:Mine", "weights": ["~/clip.pt"], "k": 3})
    {'type': 'mine.py:Mine', 'weights': ['clip.pt'], 'k': 3}
    """
    match value:
        case str():
            return shortened(value)
        case list():
            return [without_places(each) for each in value]
        case dict():
            return {key: without_places(each) for key, each in value.items()}
    return value
