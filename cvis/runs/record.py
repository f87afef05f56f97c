"""What a run has written down so far: its ``run.json`` and the metrics of its finished steps."""

from __future__ import annotations

from typing import Any

from cvis.errors import UserError
from cvis.runs.json_file import AGAIN, read_json
from cvis.runs.paths import RunFolder

PARTS = ("names", "protocol", "runtime", "learner", "segmenter")
"""Of a configuration, those that are read back."""


def read_record(folder: RunFolder) -> dict[str, Any]:
    """The content of ``run.json``.

    Raises:
        UserError: there is none, or it is damaged.
    """
    record = read_json(folder.record)
    if record is None:
        raise UserError(f"{folder.record}: does not exist: not the folder of a run; give the folder `cvis run` made")
    return record


def config_of(folder: RunFolder, record: dict[str, Any]) -> dict[str, Any]:
    """The configuration in ``run.json``; of a run by an older version without ``scenario`` and places on disk.

    Raises:
        UserError: it is missing or damaged.
    """
    config = record.get("config")
    for part in PARTS:
        value = config.get(part) if isinstance(config, dict) else None
        if not isinstance(value, dict):
            raise UserError(f"{folder.record}: config.{part}: {value!r:.60}: is not an object; {AGAIN}")
    assert isinstance(config, dict)
    return config


def finished_steps(folder: RunFolder) -> list[dict[str, Any]]:
    """The metrics of steps 0, 1, ... as far as they are complete.

    Raises:
        UserError: one of the files is damaged.
    """
    finished: list[dict[str, Any]] = []
    while (metrics := read_json(folder.step(len(finished)).metrics)) is not None:
        finished.append(metrics)
    return finished
