"""A run is written: who may write, what a resumed run must agree on, and in which order files appear."""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from cvis.atomic import TEMPORARY, write_text
from cvis.errors import UserError
from cvis.runs.paths import SCHEMA, RunFolder, StepFolder
from cvis.runs.record import config_of, read_json

LOOKS = 3
logger = logging.getLogger("cvis")


def run_folder(config: dict[str, Any], scenario_name: str) -> Path:
    """``<runs>/<scenario>/<segmenter>/<learner>/seed<k>``."""
    names, runtime = config["names"], config["runtime"]
    return Path(runtime["runs"]) / scenario_name / names["segmenter"] / names["run"] / f"seed{runtime['seed']}"


def short_name(name: str) -> str:
    """How a run names a part in its folder.

    >>> short_name("a/b/mine.py:Mine"), short_name("a/b/my.toml"), short_name("crisp")
    ('Mine', 'my', 'crisp')
    """
    if ".py:" in name:
        return name.rpartition(":")[2]
    return Path(name).stem if name.endswith((".py", ".toml")) else name


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run's folder; the lock goes with the process, however it ends.

    Half-written files of one that was killed are removed: nobody else is writing here; so is a folder that is left with
    nothing but the lock in it. Where the file system has no locks, the run goes on with a warning.

    Raises:
        UserError: another process works in the folder, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = RunFolder(folder).lock.open("a")  # not "w": a link in its place must not empty another file
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; choose another --runs folder") from error
    with handle:
        try:
            _lock(handle)
        except BlockingIOError as error:
            raise UserError(f"{folder}: another process is at work on this run; wait for it, or use --name") from error
        except OSError as error:
            said = "this file system has no locks (%s): never start this run twice at a time, or choose another --runs"
            logger.warning(f"%s: {said}", folder, error.strerror)
        for unfinished in folder.rglob(f".*{TEMPORARY}"):
            unfinished.unlink(missing_ok=True)
        try:
            yield
        finally:
            _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    """The folder of a run that was refused, and those of its name, segmenter and stream if they hold nothing else."""
    lock = RunFolder(folder).lock
    with suppress(OSError):
        if [*folder.iterdir()] == [lock]:
            lock.unlink()
            for empty in (folder, *folder.parents[:3]):
                empty.rmdir()


def _lock(handle: IO[str]) -> None:
    """At once, or within the moment for which ``cvis sweep --status`` holds it to see whether somebody does."""
    for _ in range(LOOKS):
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
    return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunWriter:
    """Writes ``run.json``, ``config.py`` and the ``metrics.json`` files of one run.

    Attributes:
        content: of ``run.json``.
        is_done: the run was finished before, and its record is complete.
    """

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        config_text: str,
        identity: dict[str, Any],
        decisive: Callable[[dict[str, Any]], dict[str, Any]],
        writes: bool = True,
    ) -> None:
        """Open or begin a run.

        Args:
            config: all of it, as plain values.
            config_text: the same for people, as the text of ``config.py``.
            identity: what a resumed run must agree on beside the configuration (scenario hash, split).
            decisive: the part of a configuration that a resumed run must agree on; also of an older record's, which
                may hold that part alone.
            writes: False for the processes beside the first: they read only.

        Raises:
            UserError: the folder holds a run of another configuration, one without its ``run.json``, or a link to
                another folder, in which it would write.
        """
        self.folder = RunFolder(folder)
        self.writes = writes
        self.is_done = False
        self.begun = time.monotonic()
        config = json.loads(json.dumps(config))
        self.content: dict[str, Any] = {
            "schema": SCHEMA,
            "status": "running",
            "wall_s": 0.0,
            "config": config,
            **identity,
        }
        for path in folder.glob("*/") if writes else ():
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                raise UserError(
                    f"{path}: is a link to {path.resolve()}, and a run writes in its own folder only; put a copy there"
                )
        before = read_json(self.folder.record)
        if any(folder.glob("step*/*")):
            if before is None:
                raise UserError(
                    f"{self.folder.record}: is missing beside finished work; remove the folder, or use --name"
                )
            config_before = config_of(self.folder, before)
            then = {**{key: before.get(key) for key in identity}, "config": decisive(config_before)}
            now = json.loads(json.dumps({**identity, "config": decisive(config)}))
            for key, old, new in _differences(then, now):
                raise UserError(
                    f"{folder}: {key}: this run was begun with {old!r}, not {new!r}; "
                    "use --name for another run, or remove the folder"
                )
            self.is_done = before.get("status") == "done" and config_before == config
            self.content = {**before, "status": "running", "config": config}
        self.wall_before = float(self.content["wall_s"])
        self.config_text: str | None = config_text

    def update(self, **entries: Any) -> None:
        """Write entries to ``run.json``, with the wall time of all sessions so far; first ``config.py`` too."""
        if self.config_text is not None:
            self._write(self.folder.config, self.config_text)
            self.config_text = None
        self.content.update(entries, wall_s=self.wall_before + time.monotonic() - self.begun)
        self._write_json(self.folder.record, self.content)

    def begin_step(self, index: int) -> StepFolder:
        """What was made of this step and later ones is void: a later step must not count on top of a new one."""
        later = [step for step in self.folder.steps() if step.index >= index]
        stale = [path for step in later for path in (step.metrics, step.trained)]
        for path in [self.folder.metrics, *stale] if self.writes else []:
            path.unlink(missing_ok=True)
        return self.folder.step(index)

    def write_trained(self, index: int, facts: dict[str, Any]) -> None:
        """Declare a step trained, whose model is on disk."""
        self._write_json(self.folder.step(index).trained, facts)
        self.update()

    def write_step(self, metrics: dict[str, Any]) -> None:
        """Declare a step finished: its ``metrics.json`` is the last file to appear."""
        step = self.folder.step(metrics["step"])
        self._write_json(step.metrics, metrics)
        if self.writes:
            step.trained.unlink(missing_ok=True)
        self.update()

    def write_run(self, metrics: dict[str, Any]) -> None:
        """Write the ``metrics.json`` of the whole run."""
        self._write_json(self.folder.metrics, metrics)

    def _write_json(self, path: Path, content: dict[str, Any]) -> None:
        self._write(path, json.dumps(content, indent=1) + "\n")

    def _write(self, path: Path, text: str) -> None:
        if self.writes:
            write_text(path, text)


def _differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(key, old value, new value) of every difference, keys in alphabetical order."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key, old, new
