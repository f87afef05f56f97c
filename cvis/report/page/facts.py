"""The protocol of a table and the surroundings of its runs, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cvis.errors import UserError
from cvis.report.page.values import Fact, Facts
from cvis.report.value import Cell, Column, Table, words
from cvis.runs.paths import RunFolder
from cvis.runs.record import read_json
from cvis.runs.result import RunResult

PROTOCOL: dict[str, str] = {
    "dataset": "The videos.",
    "split": "Where the test videos come from.",
    "test_fraction": "Share of the videos that is held out.",
    "split_confirmed": "Whether the split has the checksum that was published for it; none where none was.",
    "split_sha256": "Checksum of the split: which videos are trained on and which are scored.",
    "visibility": "Which videos a step sees, and which objects in them are annotated.",
    "other_class_policy": "What becomes of a video's objects whose class is not of this step.",
    "order": "The order in which classes arrive.",
    "base": "Number of classes at step 0.",
    "increments": "Number of new classes at each later step.",
    "exclude": "Classes left out of the stream.",
    "annotations_sha256": "Checksum of the training annotations.",
    "test_annotations_sha256": "Checksum of the test annotations.",
    "scenario_hash": "Checksum of the whole stream.",
    "freeze": "What is frozen after step 0.",
    "init": "The weights that step 0 starts from.",
    "schedule": "Iterations, learning rates, batch size.",
    "sampling": "How training clips are drawn and resized.",
    "segmenter": "The model, in full.",
}


def protocol_facts(protocol: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Every key of a protocol; nested ones keep their nesting."""
    return tuple(fact(key, value, PROTOCOL.get(key, "")) for key, value in protocol.items())


def fact(key: str, value: Any, meaning: str = "") -> Fact:
    if isinstance(value, Mapping) and value:
        return Fact(key, meaning=meaning, parts=tuple(fact(str(k), v) for k, v in value.items()))
    return Fact(key, text(value), meaning)


def text(value: Any) -> str:
    """A JSON value as people write it.

    >>> text(None), text(True), text([4, 4]), text(0.05), text([])
    ('not set', 'yes', '4, 4', '0.05', 'none')
    """
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value)) if value else "none"
    if isinstance(value, Mapping):
        return "; ".join(f"{k} = {text(v)}" for k, v in value.items()) if value else "none"
    return str(value)


def stream(run: RunResult) -> tuple[Fact, ...]:
    """The classes of each step by name, in the order in which they are learned."""
    names = [", ".join(run.classes[c] for c in group) for group in run.groups]
    return tuple(Fact(f"step {t}" + (" (base)" if t == 0 else ""), classes) for t, classes in enumerate(names))


def read_record(folder: Path) -> dict[str, Any]:
    """``run.json``; empty where it is missing or damaged: the numbers of a run do not depend on it."""
    try:
        return read_json(RunFolder(folder).record) or {}
    except UserError:
        return {}


RUN_COLUMNS = (
    *words("learner"),
    Column("seed", first="ascending"),
    Column("run", "The first 12 digits of the checksum of metrics.json.", numeric=False, first="ascending"),
    Column("mAP", "After the last step."),
    *words("device"),
    Column("wall time", "Of the whole run, as its run.json has it.", first="ascending"),
    Column("peak memory", first="ascending"),
    *words("cvis", "torch"),
    Column("commit", "State of the code in git; + stands for uncommitted changes.", numeric=False, first="ascending"),
    *words("initial weights", "text encoder"),
    Column("step-0 model", "Runs with one key share one model.", numeric=False, first="ascending"),
)


def run_table(runs: Sequence[RunResult], records: Mapping[Path, dict[str, Any]], panel: str) -> Table:
    """A row per run: who made it, on what, and in which time."""
    rows = tuple(_run_row(run, records[run.path]) for run in runs)
    caption = f"Every run on {runs[0].scenario} with {runs[0].segmenter}"
    return Table(RUN_COLUMNS, rows, caption, id=f"{panel}-run-list")


def _run_row(run: RunResult, record: Mapping[str, Any]) -> tuple[Cell, ...]:
    place = _mapping(record, "environment")
    wall, memory, mAP = record.get("wall_s"), record.get("peak_mem_mb"), run.final.get("mAP")
    commit = _mapping(place, "git").get("commit")
    changed = "+" if _mapping(place, "git").get("modified") else ""
    values = [
        place.get("gpu") or place.get("device"),
        place.get("cvis"),
        _mapping(place, "packages").get("torch"),
        f"{commit:.10}{changed}" if isinstance(commit, str) else None,
        _weights(record),
        run.text_encoder,
        _mapping(record, "step0").get("key"),
    ]
    device, *others = [_word(value) for value in values]
    note = run.text_encoder.note if run.text_encoder else ""
    return (
        Cell(run.label, run.name, aside=f"[{note}]" if note else ""),
        Cell(str(run.seed), float(run.seed)),
        Cell(run.run_id, run.run_id),
        Cell("-") if mAP is None else Cell(f"{mAP:.2f}", float(mAP)),
        device,
        _measure(wall, _duration),
        _measure(memory, lambda mb: f"{mb / 1024:.1f} GiB" if mb >= 1024 else f"{mb:.0f} MiB"),
        *others,
    )


def _weights(record: Mapping[str, Any]) -> str | None:
    init = _mapping(record, "init")
    source, checksum = init.get("source", record.get("initial_weights")), init.get("sha256")
    if source is None:
        return None
    return f"{source}, {checksum:.8}" if isinstance(checksum, str) else str(source)


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, Mapping) else {}


def _word(value: Any) -> Cell:
    return Cell("-") if value is None else Cell(str(value), str(value))


def _measure(value: Any, write: Any) -> Cell:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(write(value), float(value)) if known else Cell("-")


def _duration(seconds: float) -> str:
    """
    >>> _duration(236.2), _duration(7322.0), _duration(9.6)
    ('3 min 56 s', '2 h 02 min', '10 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def environments(runs: Sequence[RunResult], records: Mapping[Path, dict[str, Any]]) -> tuple[Facts, ...]:
    """Every distinct environment with the runs that were made in it."""
    runs_by_place: dict[str, list[RunResult]] = {}
    for run in runs:
        record = records[run.path]
        place: dict[str, Any] = dict(_mapping(record, "environment"))
        place.update({key: record[key] for key in ("command", "processes") if key in record})
        runs_by_place.setdefault(json.dumps(place), []).append(run)
    return tuple(_environment(json.loads(place), made) for place, made in runs_by_place.items())


def _environment(values: Mapping[str, Any], runs: Sequence[RunResult]) -> Facts:
    made = sorted({f"{run.label} seed {run.seed}" for run in runs})
    title, note = (", ".join(made), "") if len(made) < 4 else (f"{len(made)} runs", ", ".join(made))
    if not values:
        return Facts(title, (), f"No environment is recorded: run.json is missing or damaged. {note}".strip())
    if device := values.get("gpu") or values.get("device"):
        title += f" · {device}"
    return Facts(title, tuple(fact(str(k), v) for k, v in values.items()), note)


def settings(name: str, record: Mapping[str, Any]) -> Facts | None:
    """What a learner was set to; None where run.json does not say, or it has nothing to set."""
    values = _mapping(_mapping(record, "config"), "learner")
    facts = tuple(fact(str(k), v) for k, v in values.items() if k != "type")
    return Facts(name, facts) if facts else None
