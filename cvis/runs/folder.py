"""The folder of a run: what is finished, under which configuration, on which machine."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cvis.atomic import write_text
from cvis.errors import UserError

SCHEMA = 1


def run_folder(config: dict[str, Any], scenario_name: str) -> Path:
    """``<runs>/<scenario>/<segmenter>/<learner>/seed<k>``."""
    names, runtime = config["names"], config["runtime"]
    return Path(runtime["runs"]) / scenario_name / names["segmenter"] / names["run"] / f"seed{runtime['seed']}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run's folder; the lock goes with the process, however it ends.

    Raises:
        UserError: another process works in the folder, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; choose another --runs folder") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{folder}: another process is at work on this run; wait for it, or use --name") from error
        yield


class Journal:
    """``run.json``, ``config.py`` and the ``metrics.json`` files of one run."""

    def __init__(
        self, folder: Path, config: dict[str, Any], config_text: str, identity: dict[str, Any], writes: bool = True
    ) -> None:
        """Open or begin a run.

        Args:
            config: the part of the configuration that a resumed run must agree on.
            config_text: all of it, as the text of ``config.py``.
            identity: what a resumed run must agree on beside the configuration (scenario hash, split).
            writes: False for the processes beside the first: they read only.

        Raises:
            UserError: the folder holds a run of another configuration.
        """
        self.folder = folder
        self.writes = writes
        self.was_done = False
        self.begun = time.monotonic()
        content = {"config": config, **identity}
        self.content: dict[str, Any] = {"schema": SCHEMA, "status": "running", "wall_s": 0.0, **content}
        before = self._read(folder / "run.json")
        if any(folder.glob("step*/*")):
            if before is None:
                raise UserError(
                    f"{folder}: run.json: is missing beside finished work; remove the folder, or use --name"
                )
            self._must_agree(before, json.loads(json.dumps(content)))
            self.was_done = before.get("status") == "done"
            self.content = {**before, "status": "running"}
        self.wall_before = float(self.content["wall_s"])
        self._write(folder / "config.py", config_text)

    def update(self, **entries: Any) -> None:
        """Write entries to ``run.json``, with the wall time of all sessions so far."""
        self.content.update(entries, wall_s=self.wall_before + time.monotonic() - self.begun)
        self._write(self.folder / "run.json", json.dumps(self.content, indent=1) + "\n")

    def step(self, index: int) -> Path:
        return self.folder / f"step{index}"

    def finished_steps(self) -> list[dict[str, Any]]:
        """The metrics of steps 0, 1, ... as far as they are complete."""
        done: list[dict[str, Any]] = []
        while (metrics := self._read(self.step(len(done)) / "metrics.json")) is not None:
            done.append(metrics)
        return done

    def begin_step(self, index: int) -> None:
        """What was made of this step and later ones is void: a later step must not count on top of a new one."""
        stale = [path for path in self.folder.glob("step*/metrics.json") if int(path.parent.name[4:]) >= index]
        for path in [*stale, self.folder / "metrics.json"] if self.writes else []:
            path.unlink(missing_ok=True)

    def write_step(self, metrics: dict[str, Any]) -> None:
        """Declare a step finished: its ``metrics.json`` is the last file to appear."""
        self._write(self.step(metrics["step"]) / "metrics.json", json.dumps(metrics, indent=1) + "\n")
        self.update()

    def write_run(self, metrics: dict[str, Any]) -> None:
        self._write(self.folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")

    def _write(self, path: Path, text: str) -> None:
        if self.writes:
            write_text(path, text)

    def _must_agree(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        difference = _first_difference({k: before.get(k) for k in now}, now)
        if difference:
            key, old, new = difference
            raise UserError(
                f"{self.folder}: {key}: this run was begun with {old!r}, not {new!r}; "
                "use --name for another run, or remove the folder"
            )

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}; remove it to redo what it records") from error


def _first_difference(old: Any, new: Any, key: str = "") -> tuple[str, Any, Any] | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            found = _first_difference(old.get(name), new.get(name), f"{key}.{name}" if key else name)
            if found:
                return found
        return None
    return None if old == new else (key, old, new)
